"""`.mnn` files are read without MNN: layers by what they compute, slopes bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damaged import check_damaged, damaged_bytes
from mnn_files import SLOPES, MnnFile, save_mnn_net
from running import check_nothing_is_loaded, cli

from prelu_tools.backends.runtimes.mnn.schema import packed_tensors, read_mnn
from prelu_tools.backends.runtimes.mnn.source import MnnSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

COLUMN = SLOPES.reshape(3, 1, 1)
FLOAT = ("Int32", 1)


def _opened(path: Path) -> MnnSource:
    return MnnSource(path, "net", SourceOptions())


def _binary(file: MnnFile, kind: int, name: str, *inputs: int) -> int:
    return file.operator("BinaryOp", name, inputs, {0: ("Int32", kind), 1: FLOAT})


def _saved(path: Path, build: Callable[[MnnFile, int], int]) -> Path:
    """A file whose one input goes through a layer."""
    file = MnnFile()
    return file.save(path, [build(file, file.input("x", (1, 3, 4, 4)))])


def _prelu(file: MnnFile, x: int) -> int:
    return file.operator("PReLU", "act", [x], {0: ("Int32", 3), 1: ("array", SLOPES)})


def _select(file: MnnFile, x: int) -> int:
    """As the converter writes it: x times the slope or 1, with changes of the layout between."""
    x = file.operator("ConvertTensor", "x in NC4HW4", [x])
    negative = _binary(file, 12, "mask", x, file.constant("zero", np.float32([0])))
    slopes = file.constant("act.weight", COLUMN)
    one = file.constant("one", np.float32([1]))
    return _binary(file, 2, "y", x, file.operator("Select", "factor", [negative, slopes, one]))


def _relu_sub(file: MnnFile, x: int) -> int:
    negative = file.operator("UnaryOp", "-x", [x], {0: ("Int32", 1), 1: FLOAT})
    cut = file.operator("ReLU", "relu(-x)", [negative], {0: ("Float32", 0.0)})
    scaled = _binary(file, 2, "scaled", cut, file.constant("act.weight", COLUMN))
    return _binary(file, 1, "y", file.operator("ReLU", "relu(x)", [x]), scaled)


def _eltwise(file: MnnFile, x: int) -> int:
    """max(x, a * x) and no slope above 1."""
    slopes = file.constant("act.weight", np.minimum(COLUMN, 0.75))
    scaled = file.operator("Eltwise", "scaled", [x, slopes], {0: ("Int8", 0)})
    return file.operator("Eltwise", "y", [x, scaled], {0: ("Int8", 2)})


FORMS = {"prelu": _prelu, "select": _select, "relu_sub": _relu_sub, "max": _eltwise}


@pytest.mark.parametrize("form", FORMS)
def test_prelu_is_found_by_what_it_computes(tmp_path: Path, form: str) -> None:
    (layer,) = _opened(_saved(tmp_path / "net.mnn", FORMS[form])).layers()
    expected = np.minimum(SLOPES, 0.75) if form == "max" else SLOPES
    assert layer.slopes.reshape(-1).tobytes() == expected.tobytes()
    assert layer.channel_axis in (1, None)
    assert layer.slopes.shape == (1, 3, 1, 1)


@pytest.mark.parametrize(("shape", "expected"), [
    ((1, 3), (1, 3)), ((1, 3, 5), (1, 3, 1)), ((1, 3, 4, 5), (1, 3, 1, 1)),
])  # fmt: skip
def test_slopes_lie_along_axis_1_whatever_the_rank(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    file = MnnFile()
    (layer,) = _opened(
        file.save(tmp_path / "a.mnn", [_prelu(file, file.input("x", shape))])
    ).layers()
    assert layer.slopes.shape == expected


def test_what_a_convolution_does_to_its_result_is_an_operator_too(tmp_path: Path) -> None:
    """A Relu that is a property of a convolution, and the other half of PReLU behind it."""
    file = MnnFile()
    x = file.input("x", (1, 3, 4, 4))
    common = ("table", {12: ("Bool", 1)})
    weights = np.ones(9, np.float32)
    y = file.operator("Convolution", "conv", [x], {0: common, 1: ("array", weights)})
    source = _opened(file.save(tmp_path / "net.mnn", [_prelu(file, y)]))
    assert [node.op_type for node in source.model.proto.graph.node][:2] == ["Conv", "Relu"]
    (layer,) = source.layers()
    assert layer.preceding_parameters == 9
    assert source.n_parameters == 12


def test_the_input_and_the_output_are_those_of_the_file(tmp_path: Path) -> None:
    source = _opened(save_mnn_net(tmp_path / "net.mnn"))
    assert [(spec.name, spec.shape, spec.dtype) for spec in source.inputs()] == [
        ("x", ("batch", 3), "float32"),
    ]
    assert [value.name for value in source.model.proto.graph.output] == ["act"]
    assert source.shows("sum")
    assert not source.shows("bias")


@pytest.mark.parametrize(("kind", "narrow"), [(3, "float16"), (1, "int8"), (4, "int8")])
def test_weights_of_a_narrower_type_are_told_of(tmp_path: Path, kind: int, narrow: str) -> None:
    file = MnnFile()
    x = file.input("x", (1, 3, 4, 4))
    stored = ("table", {2: ("Int32", kind)})
    y = file.operator("Convolution", "conv", [x], {0: ("table", {10: ("Int32", 3)}), 3: stored})
    source = _opened(file.save(tmp_path / "net.mnn", [_prelu(file, y)]))
    assert source.computes_in == ("float16" if narrow == "float16" else None)
    assert [getattr(note, "code", "") for note in source.notes] == (
        ["quantized"] if narrow == "int8" else []
    )
    if narrow == "int8":
        with pytest.raises(PReLUToolsError, match="quantized"), source.runner():
            pass


@pytest.mark.parametrize("source", [1, 2])
def test_a_model_from_tensorflow_is_refused_in_a_sentence(tmp_path: Path, source: int) -> None:
    file = MnnFile(source)
    path = file.save(tmp_path / "net.mnn", [_prelu(file, file.input("x", (1, 4, 4, 3)))])
    found = cli("inspect", path)
    assert found.code == 3
    assert "was converted from TensorFlow, with the channels last" in found.words


def test_tensors_are_packed_from_a_convolution_on_until_one_is_converted(tmp_path: Path) -> None:
    file = MnnFile()
    x = file.input("x", (1, 3, 4, 4))
    conv = file.operator("Convolution", "conv", [x], {0: ("table", {10: ("Int32", 3)})})
    act = _prelu(file, conv)
    plain = file.operator("ConvertTensor", "plain", [act], {0: ("Int8", 2), 1: ("Int8", 0)})
    back = file.operator("ConvertTensor", "back", [file.operator("ReLU", "r", [plain])],
                         {1: ("Int8", 2)})  # fmt: skip
    path = file.save(tmp_path / "net.mnn", [file.operator("ReLU", "y", [back])])
    assert packed_tensors(read_mnn(path)) == {"conv", "act", "back", "y"}


def test_a_relu_is_no_layer(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.mnn", lambda f, x: f.operator("ReLU", "y", [x]))
    assert _opened(path).layers() == ()


def test_weights_that_are_in_another_file_are_no_slopes(tmp_path: Path) -> None:
    def build(file: MnnFile, x: int) -> int:
        given = {0: ("ints", (3, 1, 1)), 2: FLOAT}
        slopes = file.operator("Const", "a", [], given)  # no values, and no place in this file
        low = _binary(file, 5, "low", x, file.constant("zero", np.float32([0])))
        high = _binary(file, 9, "high", x, file.constant("zero2", np.float32([0])))
        return _binary(file, 0, "y", high, _binary(file, 2, "s", low, slopes))

    assert _opened(_saved(tmp_path / "net.mnn", build)).layers() == ()


def test_inspect_needs_no_mnn(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.mnn", _select)
    check_nothing_is_loaded(path, "MNN")


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    whole = [_saved(tmp_path / "whole.mnn", form).read_bytes() for form in FORMS.values()]
    path = tmp_path / "damaged.mnn"

    def look() -> int:
        source = _opened(path)
        return len(source.layers()) + len(source.inputs()) + len(source.notes)

    check_damaged(path, whole, damaged_bytes, look, count=600)


def test_what_is_no_model_exits_3(tmp_path: Path) -> None:
    path = tmp_path / "net.mnn"
    path.write_bytes(b"not a model at all, but long enough")
    found = cli("inspect", path)
    assert found.code == 3
    assert "is not a readable MNN model" in found.words


def test_without_mnn_the_line_to_install_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.backends.runtimes.hosted.find_spec", lambda _: None)
    path = save_mnn_net(tmp_path / "net.mnn")
    found = cli("verify", path, path)
    assert found.code == 3
    assert "pip install 'prelu-tools[mnn]'" in found.words
