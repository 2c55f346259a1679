"""What TensorFlow's converter makes of Keras models, run by LiteRT and compared with Keras."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.runtimes.litert.schema import FUSED, OPERATORS, TYPES
from prelu_tools.backends.runtimes.litert.source import LiteRTSource
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.verification.result import VerifyResult

pytestmark = pytest.mark.keras


@dataclass(frozen=True)
class Converted:
    """A Keras model, and what the converter made of it."""

    model: Any
    folder: Path

    def file(self, kind: str = "float32") -> Path:
        """What was made of it with weights of a type."""
        return self.folder / f"{kind}.tflite"


def _net(shared: tuple[int, ...] | None) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    slopes = keras.initializers.RandomUniform(-1, 2)
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(5, 3)(x)
    y = keras.layers.PReLU(slopes, shared_axes=shared, name="first")(y)
    y = keras.layers.Conv2D(4, 3)(y)
    y = keras.layers.PReLU(slopes, shared_axes=shared, name="second")(y)
    y = keras.layers.Dense(6)(keras.layers.Flatten()(y))
    y = keras.layers.PReLU(slopes, name="third")(y)
    return keras.Model(x, keras.layers.Dense(3)(y))


def _convert(model: Any, path: Path, prepare: Callable[[Any], None] = lambda _: None) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    prepare(converter)
    path.write_bytes(converter.convert())


def _to_half(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


@pytest.fixture(scope="module", params=["channel-wise", "element-wise", "channel-shared"])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    axes = {"channel-wise": (1, 2), "element-wise": None, "channel-shared": (1, 2, 3)}
    model = _net(axes[request.param])
    _convert(model, folder / "float32.tflite")
    if request.param == "channel-wise":
        _convert(model, folder / "float16.tflite", _to_half)
    return Converted(model, folder)


def _verified(converted: Converted, path: Path, **options: Any) -> VerifyResult:
    from prelu_tools.api import verify

    return verify(converted.model, str(path), search_seconds=0.0, **options)


def test_an_honest_file_passes_with_and_without_xnnpack(converted: Converted) -> None:
    result = _verified(converted, converted.file())
    assert result.verdict == "pass", result.reasons
    providers = [report.provider for report in result.candidates]
    assert [p.requested for p in providers if p] == ["litert", "litert-builtin"]
    assert ["XNNPACK" in p.actual[0] for p in providers if p] == [True, False]
    for report in result.candidates:
        assert [layer.name for layer in report.layers] == ["first", "second", "third"]
        assert all(layer.slopes_equal and layer.max_ulp_diff == 0 for layer in report.layers)
    assert [agreement.verdict for agreement in result.agreements] == ["pass"]


def test_what_is_looked_at_changes_no_output(converted: Converted) -> None:
    source = LiteRTSource(converted.file(), "net", SourceOptions())
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    (name,) = (spec.name for spec in source.inputs())
    taps = [n for item in source.located for m in item.matches for n in (m.x, m.node.output[0])]
    with source.loaded([]) as plain, source.loaded(taps) as tapped:
        expected, _ = plain.run({name: x})
        found, tensors = tapped.run({name: x})
    assert all(np.array_equal(expected[key], found[key]) for key in expected)
    assert set(taps) <= set(tensors)


def test_a_batch_is_run_where_the_file_leaves_it_free(converted: Converted) -> None:
    source = LiteRTSource(converted.file(), "net", SourceOptions())
    (spec,) = source.inputs()
    assert spec.shape[0] == "batch"
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    with source.runner() as runner:
        (found,) = runner.run({spec.name: x}).values()
    assert np.allclose(found, converted.model(x), atol=1e-5)


def _exchanged(path: Path, layer: int) -> None:
    """Exchange the first two slopes of a layer that differ, in the file."""
    source = LiteRTSource(path, "net", SourceOptions())
    parameter = source.layers()[layer].parameter
    tensor = next(t for t in source.model.proto.graph.initializer if t.name == parameter)
    place = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = int(place["offset"]), int(place["length"])
    data = bytearray(path.read_bytes())
    width = 2 if source.computes_in else 4
    assert length >= 2 * width
    a, b = data[offset : offset + width], data[offset + width : offset + 2 * width]
    data[offset : offset + 2 * width] = b + a
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("converted", "kind"),
    [("channel-wise", "float32"), ("channel-wise", "float16"), ("element-wise", "float32")],
    indirect=["converted"],
)
def test_exchanged_slopes_in_the_file_fail_and_are_named(
    converted: Converted, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.tflite"
    shutil.copy(converted.file(kind), path)
    _exchanged(path, 1)
    result = _verified(converted, path)
    assert result.verdict == "fail"
    for report in result.candidates:
        wrong = [layer for layer in report.layers if layer.verdict == "fail"]
        assert [layer.name for layer in wrong] == ["second"]
        assert "swapped" in str(wrong[0].difference)


@pytest.mark.parametrize("converted", ["channel-wise"], indirect=True)
def test_weights_in_float16_pass_as_float16_holds_them(converted: Converted) -> None:
    result = _verified(converted, converted.file("float16"))
    assert result.verdict == "pass", result.reasons
    assert any("rounded to float16" in note for note in result.notes)


def test_a_larger_file_of_free_sizes_is_run_at_sizes_that_it_takes(tmp_path: Path) -> None:
    """The sizes that the file states, 1x1, are too small for its own convolutions."""
    import keras

    keras.utils.set_random_seed(5)
    slopes = keras.initializers.RandomUniform(-1, 2)
    x = keras.Input((None, None, 3))
    y = keras.layers.Conv2D(64, 3)(x)
    y = keras.layers.PReLU(slopes, shared_axes=(1, 2), name="first")(y)
    y = keras.layers.Conv2D(64, 3)(y)
    y = keras.layers.PReLU(slopes, shared_axes=(1, 2), name="second")(y)
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))
    path = tmp_path / "net.tflite"
    _convert(model, path)
    assert path.stat().st_size > 1 << 17
    result = _verified(Converted(model, tmp_path), path, input={"input": ("batch", 9, 9, 3)})
    assert result.verdict == "pass", result.reasons


def test_codes_are_those_of_the_schema() -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    def codes(enum: type) -> dict[int, str]:
        return {v: k for k, v in vars(enum).items() if isinstance(v, int)}

    operators = codes(schema.BuiltinOperator)
    assert {code: operators[code] for code in OPERATORS} == OPERATORS
    activations = codes(schema.ActivationFunctionType)
    assert [activations[code].replace("SIGN_BIT", "SIGN") for code in FUSED] == list(FUSED.values())
    types = codes(schema.TensorType)
    assert [types[code].lower() for code in TYPES] == list(TYPES.values())
