"""`.tflite` files are read by what they compute, whatever operators spell it; no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damaged import check_damaged, damaged_bytes
from running import check_nothing_is_loaded, cli
from tflite_files import TfliteFile

from prelu_tools.backends.runtimes.litert.source import LiteRTSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

_SLOPES = np.array([0.25, -0.5, 1.5, 0.1, 0.0], np.float32)
_SHAPE = (1, 4, 4, 5)


def _saved(path: Path, build: Callable[[TfliteFile, int], int]) -> Path:
    """A file whose one input goes through a layer."""
    file = TfliteFile()
    x = file.tensor("x", _SHAPE)
    return file.save(path, [x], [build(file, x)])


def _prelu(f: TfliteFile, x: int) -> int:
    alpha = f.constant("net/act/alpha", _SLOPES.reshape(1, 1, 5))
    return f.operator("PRELU", [x, alpha], f.tensor("net/act/out", _SHAPE))


def _select(f: TfliteFile, x: int) -> int:
    positive = f.tensor("mask", _SHAPE, dtype="bool")
    f.operator("GREATER", [x, f.constant("zero", np.float32(0))], positive)
    scaled = f.operator("MUL", [x, f.constant("a", _SLOPES)], f.tensor("scaled", _SHAPE))
    return f.operator("SELECT_V2", [positive, x, scaled], f.tensor("y", _SHAPE))


def _relu_sub(f: TfliteFile, x: int) -> int:
    negative = f.operator("NEG", [x], f.tensor("-x", _SHAPE))
    relu = f.operator("RELU", [negative], f.tensor("relu(-x)", _SHAPE))
    scaled = f.operator("MUL", [relu, f.constant("a", _SLOPES)], f.tensor("scaled", _SHAPE))
    positive = f.operator("RELU", [x], f.tensor("relu(x)", _SHAPE))
    return f.operator("SUB", [positive, scaled], f.tensor("y", _SHAPE))


def _fused(f: TfliteFile, x: int) -> int:
    """relu(-1 * x), the Relu being a property of the product."""
    minus = f.constant("minus", np.float32(-1))
    negative = f.operator("MUL", [x, minus], f.tensor("relu(-x)", _SHAPE), {0: ("b", 1)})
    scaled = f.operator("MUL", [negative, f.constant("-a", -_SLOPES)], f.tensor("s", _SHAPE))
    positive = f.operator("RELU", [x], f.tensor("relu(x)", _SHAPE))
    return f.operator("ADD", [positive, scaled], f.tensor("y", _SHAPE))


def _abs(f: TfliteFile, x: int) -> int:
    difference = f.operator(
        "SUB", [x, f.operator("ABS", [x], f.tensor("|x|", _SHAPE))], f.tensor("d", _SHAPE)
    )
    half = f.constant("a/2", _SLOPES / 2)
    scaled = f.operator("MUL", [difference, half], f.tensor("s", _SHAPE))
    positive = f.operator("RELU", [x], f.tensor("relu(x)", _SHAPE))
    return f.operator("ADD", [positive, scaled], f.tensor("y", _SHAPE))


def _max_min(f: TfliteFile, x: int) -> int:
    zero = f.constant("zero", np.float32(0))
    low = f.operator("MINIMUM", [x, zero], f.tensor("low", _SHAPE))
    scaled = f.operator("MUL", [low, f.constant("a", _SLOPES)], f.tensor("s", _SHAPE))
    high = f.operator("MAXIMUM", [x, zero], f.tensor("high", _SHAPE))
    return f.operator("ADD", [high, scaled], f.tensor("y", _SHAPE))


def _half(f: TfliteFile, x: int) -> int:
    stored = f.constant("act/alpha", _SLOPES.astype(np.float16).reshape(1, 1, 5))
    alpha = f.operator("DEQUANTIZE", [stored], f.tensor("wide", (1, 1, 5)))
    return f.operator("PRELU", [x, alpha], f.tensor("y", _SHAPE))


_FORMS = {
    "prelu": _prelu, "where": _select, "relu_sub": _relu_sub, "relu_mul": _fused,
    "abs": _abs, "max_min": _max_min,
}  # fmt: skip


@pytest.mark.parametrize("form", _FORMS)
def test_every_spelling_is_one_layer_with_its_slopes(tmp_path: Path, form: str) -> None:
    path = _saved(tmp_path / "net.tflite", _FORMS[form])
    (layer,) = LiteRTSource(path, "net", SourceOptions()).layers()
    assert layer.form == form
    assert layer.slopes.shape == (1, 1, 1, 5)
    assert np.array_equal(layer.slopes.reshape(-1), _SLOPES)
    assert layer.sharing == "channel-wise"


def test_a_layer_is_called_by_its_slopes(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.tflite", _prelu)
    (layer,) = LiteRTSource(path, "net", SourceOptions()).layers()
    assert (layer.name, layer.parameter, layer.nodes) == (
        "net/act", "net/act/alpha", ("net/act/out",)
    )  # fmt: skip


def test_weights_in_float16_are_slopes_in_float16(tmp_path: Path) -> None:
    source = LiteRTSource(_saved(tmp_path / "net.tflite", _half), "net", SourceOptions())
    (layer,) = source.layers()
    assert layer.dtype == source.computes_in == "float16"
    assert np.array_equal(layer.slopes.reshape(-1), _SLOPES.astype(np.float16))


def test_integers_stand_for_the_slopes_that_they_mean(tmp_path: Path) -> None:
    file = TfliteFile()
    x = file.tensor("x", _SHAPE, dtype="int8", quantization=(0.1, 3))
    stored = np.array([10, -20, 127, 5, 2], np.int8).reshape(1, 1, 5)
    alpha = file.tensor("act/alpha", (1, 1, 5), stored, "int8", (0.01, 2))
    y = file.tensor("y", _SHAPE, dtype="int8", quantization=(0.2, 0))
    file.operator("PRELU", [x, alpha], y)
    path = file.save(tmp_path / "net.tflite", [x], [y])
    source = LiteRTSource(path, "net", SourceOptions())
    (layer,) = source.layers()
    assert np.allclose(layer.slopes.reshape(-1), [0.08, -0.22, 1.25, 0.03, 0.0])
    assert [getattr(note, "code", "") for note in source.notes] == ["quantized"]
    with pytest.raises(PReLUToolsError, match="quantized"), source.runner():
        pass


def test_a_relu_is_no_layer(tmp_path: Path) -> None:
    path = _saved(
        tmp_path / "net.tflite", lambda f, x: f.operator("RELU", [x], f.tensor("y", _SHAPE))
    )
    assert LiteRTSource(path, "net", SourceOptions()).layers() == ()


def test_inspect_needs_no_tensorflow(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.tflite", _select)
    check_nothing_is_loaded(path, "ai_edge_litert")


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """Or is read, where the damage is where nobody looks; nothing else happens."""
    whole = [_saved(tmp_path / "whole.tflite", form).read_bytes() for form in _FORMS.values()]
    path = tmp_path / "damaged.tflite"

    def look() -> int:
        source = LiteRTSource(path, "damaged", SourceOptions())
        return len(source.layers()) + len(source.inputs()) + len(source.notes)

    check_damaged(path, whole, damaged_bytes, look, count=600)


def test_an_operator_that_reads_its_own_result_is_refused(tmp_path: Path) -> None:
    file = TfliteFile()
    x, y, z = (file.tensor(name, _SHAPE) for name in "xyz")
    file.operator("ADD", [x, z], y)
    file.operator("NEG", [y], z)
    path = file.save(tmp_path / "net.tflite", [x], [z])
    with pytest.raises(PReLUToolsError, match="before it is produced"):
        LiteRTSource(path, "net", SourceOptions())


def test_what_is_no_model_exits_3(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"not a model at all, but long enough")
    found = cli("inspect", path)
    assert found.code == 3
    assert "is not a readable TensorFlow Lite model: expected TFL3 at byte 4" in found.words
