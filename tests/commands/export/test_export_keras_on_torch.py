"""Keras' PyTorch backend: what is exported is what TensorFlow's gives, and without TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from keras_nets import LAYERS, NETS, prelus
from onnx import numpy_helper
from running import ROOT, Outcome, environment

pytestmark = [pytest.mark.keras, pytest.mark.torch]

_MORE = '''

def half():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3), name="x")
    y = L.Conv2D(4, 3, dtype="mixed_float16")(inputs)
    y = L.PReLU(slopes, shared_axes=[1, 2], name="p", dtype="mixed_float16")(y)
    return keras.Model(inputs, L.Activation("linear", dtype="float32", name="y")(y))


def residual():
    """Every operator of it is on channels last, and its shortcut joins in between."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3), name="x")
    x = act("one", [1, 2])(L.Conv2D(4, 3, padding="same", name="conv")(x))
    y = L.BatchNormalization(moving_mean_initializer=slopes)(L.Conv2D(4, 1)(x))
    x = L.Concatenate()([L.Add()([x, act("two", [1, 2])(y)]), x])
    return keras.Model(inputs, act("three", [1, 2])(L.MaxPooling2D()(x)))


def twice():
    layer, inputs = act("shared"), keras.Input((4,), name="x")
    return keras.Model(inputs, layer(L.Dense(4)(layer(inputs))))


def built_otherwise():
    return seq(X(6, 5, 3), L.Conv2D(4, 3), act("other"))


def free_steps():
    steps = L.TimeDistributed(keras.Sequential([L.Dense(5), act("inner")]), name="steps")
    return seq(X(None, 4), steps, act("out", [1]))


elsewhere = {"__name__": "jax.numpy"}  # a function of another framework
exec("def leaky(x):\\n    return x.numpy() * 0.5", elsewhere)


class Outside(L.Layer):
    def call(self, x):
        return elsewhere["leaky"](x)


def outside():
    return seq(X(4), Outside(name="half"), act("p"))


class OfAllRows(L.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)

    def compute_output_shape(self, shape):
        return shape


def of_all_rows():
    return seq(X(None, 4), L.TimeDistributed(OfAllRows()), L.PReLU(shared_axes=[1]))


class Array(L.Layer):
    def call(self, x):
        return np.asarray(x)


def array():
    return seq(X(4), Array(name="made"), act("p"))
'''

_KINDS = [found for found in LAYERS if found[0] in ("recurrent", "blocks", "subclassed")]
_JOBS = {
    **{name: [name] for name, _ in _KINDS},
    **{name: [name] for name in ("first", "each_step", "half", "residual", "twice")},
    **{name: [name] for name in ("free_steps", "outside", "array")},
    "moved": ["last([1,2])", "--input-layout", "nchw", "--opset", "16"],
    "both": ["residual", "--input-layout", "nchw", "--output-layout", "nchw"],
}
_MAKE = (
    "import nets_on_torch as n; m = n.last(); m.save('net.keras'); m.save_weights('net.weights.h5')"
)
_INSIDE = """
import nets_on_torch as n
import prelu_tools
from prelu_tools.backends.keras.on_torch import KerasModule
from prelu_tools.backends.keras.structure import Structure
from prelu_tools.core.options import SourceOptions
for make, folds in ((n.free_steps, True), (n.of_all_rows, False)):
    model = make()
    assert KerasModule(model, Structure(model, "m", SourceOptions()))._folds_steps == folds, make
report = prelu_tools.inspect(n.built_otherwise()).layers[0]
assert report.layer.preceding_parameters == 3 * 3 * 3 * 4 + 4, report
"""
_WEIGHTS = [
    ["export", "nets_on_torch.py:last@net.weights.h5", "-o", "loaded.onnx"],
    ["verify", "nets_on_torch.py:last@net.weights.h5", "loaded.onnx"],
    ["export", "nets_on_torch.py:built_otherwise@net.weights.h5", "-o", "no.onnx"],
    ["export", "nets_on_torch.py:last@none.weights.h5", "-o", "no.onnx"],
]


class _Exports(NamedTuple):
    outcomes: Mapping[str, Outcome]
    """By the name of the job."""
    folder: Path
    """Where the files are: `net.keras` and `net.weights.h5` too, which Keras wrote there."""
    inside: Outcome
    """What became of `_INSIDE`."""
    of_weights: list[Outcome]
    """What became of `_WEIGHTS`."""

    def document(self, job: str) -> Any:
        found = self.outcomes[job]
        assert found.code == 0, found.err
        assert found.json["verification"]["verdict"] == "pass"
        return found.json

    def graph(self, job: str) -> onnx.GraphProto:
        self.document(job)
        return onnx.load(self.folder / f"{job}.onnx").graph


def _run(commands: list[list[str]], folder: Path, **variables: str) -> list[Outcome]:
    path = f"{ROOT}:{ROOT / 'tests'}"
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "rigs" / "without_tensorflow.py"],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        cwd=folder,
        env={k: v for k, v in environment(PYTHONPATH=path, **variables).items() if v},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(*found) for found in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> _Exports:
    folder = tmp_path_factory.mktemp("on_torch")
    (folder / "nets_on_torch.py").write_text(NETS + _MORE)
    commands = [
        [
            *("export", f"nets_on_torch.py:{net}", "-o", f"{job}.onnx", "--format", "json"),
            *("--route", "torch"),
            *more,
        ]
        for job, (net, *more) in _JOBS.items()
    ]
    found = _run([*commands, ["-c", _INSIDE], ["-c", _MAKE], *_WEIGHTS], folder)
    inside, made, *of_weights = found[len(commands) :]
    assert made.code == 0, made.err
    return _Exports(dict(zip(_JOBS, found, strict=False)), folder, inside, of_weights)


@pytest.mark.parametrize(("net", "expected"), _KINDS)
def test_every_layer_is_one_prelu(
    exports: _Exports, net: str, expected: dict[str, list[int]]
) -> None:
    assert prelus(exports.graph(net)) == expected
    document = exports.document(net)
    assert [layer["name"] for layer in document["layers"]] == list(expected)


@pytest.mark.parametrize(
    ("job", "shapes", "transposes"),
    [
        ("moved", {"a": [4, 1, 1], "b": [3, 1, 1]}, 0),
        ("first", {"a": [4, 6, 5], "b": [3, 1, 1]}, 0),
        ("residual", {"one": [4, 1, 1], "two": [4, 1, 1], "three": [8, 1, 1]}, 2),
        ("both", {"one": [4, 1, 1], "two": [4, 1, 1], "three": [8, 1, 1]}, 0),
    ],
)
def test_transposes_are_at_the_ends_alone(
    exports: _Exports, job: str, shapes: dict[str, list[int]], transposes: int
) -> None:
    graph = exports.graph(job)
    assert prelus(graph) == shapes
    assert sum(node.op_type == "Transpose" for node in graph.node) == transposes


def test_parts_of_a_convolution_are_one_node(exports: _Exports) -> None:
    """Keras adds the bias and normalises on channels last, in operators of their own."""
    kinds = Counter(node.op_type for node in exports.graph("residual").node)
    assert kinds == Counter(
        {"Conv": 2, "PRelu": 3, "Add": 1, "Concat": 1, "MaxPool": 1, "Transpose": 2}
    )


def test_slopes_have_the_names_and_values_of_keras(exports: _Exports) -> None:
    tensors = {t.name: numpy_helper.to_array(t) for t in exports.graph("blocks").initializer}
    assert {"conv/low", "conv/high", "mix/alpha", "last/alpha"} <= set(tensors)
    drawn = np.random.default_rng(1 + 4).uniform(-0.5, 1.5, 4).astype(np.float32)
    assert np.array_equal(tensors["mix/alpha"].reshape(-1), drawn)


def test_names_of_inputs_and_outputs_are_those_of_keras(exports: _Exports) -> None:
    graph = exports.graph("subclassed")
    assert [value.name for value in graph.input] == ["left", "right"]
    assert [value.name for value in graph.output] == ["score"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_calls_of_one_layer_share_its_slopes(exports: _Exports) -> None:
    nodes = [node for node in exports.graph("twice").node if node.op_type == "PRelu"]
    assert [node.name for node in nodes] == ["shared", "shared_1"]
    assert {node.input[1] for node in nodes} == {"shared/alpha"}
    assert [layer["name"] for layer in exports.document("twice")["layers"]] == ["shared"]


def test_a_layer_applied_to_each_step_is_called_once_a_step(exports: _Exports) -> None:
    assert set(prelus(exports.graph("each_step"))) == {"in", "in_1", "in_2", "in_3", "out"}


def test_any_number_of_steps_is_one_call(exports: _Exports) -> None:
    graph = exports.graph("free_steps")
    assert list(prelus(graph)) == ["inner", "out"]
    assert [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == [
        *("batch", "x_dim_1", 4)
    ]


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ("outside", 'a function of JAX, which PyTorch cannot run (nets_on_torch.py, line {line}: '
                    'return elsewhere["leaky"](x)): write it with keras.ops'),
        ("array", "layer made returns a numpy.ndarray, which PyTorch cannot run: write the layer"),
    ],
)  # fmt: skip
def test_code_for_another_framework_is_named(exports: _Exports, net: str, expected: str) -> None:
    found = exports.outcomes[net]
    lines = (exports.folder / "nets_on_torch.py").read_text().splitlines()
    line = lines.index('        return elsewhere["leaky"](x)') + 1
    assert found.code == 3
    assert expected.format(line=line) in found.err
    assert not (exports.folder / f"{net}.onnx").exists()


def test_steps_are_rows_where_they_can_be_and_layers_know_what_is_before_them(
    exports: _Exports,
) -> None:
    assert exports.inside.code == 0, exports.inside.err


def test_mixed_precision_is_exported_in_float32_and_said(exports: _Exports) -> None:
    document = exports.document("half")
    assert any("mixed_float16" in note for note in document["notes"])
    (value,) = exports.graph("half").input
    assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_files_are_read_by_the_framework_that_is_there(exports: _Exports) -> None:
    objects = ["--custom-objects", "nets_on_torch.py:slopes"]
    commands = [
        ["export", "net.keras", "-o", "net.onnx", *objects],
        ["verify", "net.keras", "net.onnx", "--format", "json", *objects],
    ]
    export, verify = _run(commands, exports.folder, KERAS_BACKEND="")
    assert (export.code, verify.code) == (0, 0), export.err + verify.err
    assert [layer["name"] for layer in verify.json["candidates"][0]["layers"]] == ["a", "b"]
    assert verify.json["reference_precision"] == "float64"
    assert verify.json["power"]["detected"] > 0


def test_weights_in_a_file_are_those_of_the_result(exports: _Exports) -> None:
    export, verify, other, missing = exports.of_weights
    assert (export.code, verify.code) == (0, 0), export.err + verify.err
    assert (other.code, missing.code) == (3, 3)
    assert "do not fit" in other.err
    assert "no such file" in missing.err
    assert not (exports.folder / "no.onnx").exists()
