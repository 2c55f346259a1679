"""Whatever a Keras model is made of and kept in becomes the graph of its PReLU, verified."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from keras_nets import AXES, LAYERS, NETS, prelus
from onnx import numpy_helper
from running import cli

pytestmark = pytest.mark.keras

_UNKNOWN = """

import tensorflow as tf


def unknown():
    return seq(X(4), L.Dense(4), L.Lambda(lambda x: tf.math.bessel_i0(x), name="odd"), act("a"))
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "keras_nets_of_all_kinds.py"
    path.write_text(NETS + _UNKNOWN)
    return path


def _exported(source: str, folder: Path, *more: str) -> tuple[onnx.GraphProto, Any]:
    path = folder / "net.onnx"
    found = cli("export", source, "-o", path, "--format", "json", "--force", *more)
    assert found.code == 0, found.err
    assert found.json["verification"]["verdict"] == "pass"
    return onnx.load(path).graph, found.json


def _operators(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


@pytest.mark.parametrize(("axes", "shape"), AXES)
def test_shared_axes_in_every_combination(
    nets: Path, tmp_path: Path, axes: str, shape: list[int]
) -> None:
    graph, _ = _exported(f"{nets}:last({axes})", tmp_path)
    assert prelus(graph) == {"a": shape, "b": [3, 1, 1]}
    assert _operators(graph)["Transpose"] == 1  # of the input


@pytest.mark.parametrize(("axes", "shape"), [("[3]", [4, 6, 1]), ("[2,3]", [4, 1, 1])])
def test_channels_first_runs_on_a_cpu_and_needs_no_transpose(
    nets: Path, tmp_path: Path, axes: str, shape: list[int]
) -> None:
    graph, _ = _exported(f"{nets}:first({axes})", tmp_path)
    assert prelus(graph) == {"a": shape, "b": [3, 1, 1]}
    assert _operators(graph)["Transpose"] == 0


@pytest.mark.parametrize(
    ("net", "layout", "sizes"),
    [("last", "nchw", [3, 6, 5]), ("first", "nhwc", [6, 5, 3]), ("first", "nchw", [3, 6, 5])],
)
def test_inputs_have_the_layout_that_was_asked(
    nets: Path, tmp_path: Path, net: str, layout: str, sizes: list[int]
) -> None:
    graph, _ = _exported(f"{nets}:{net}", tmp_path, "--input-layout", layout)
    (value,) = graph.input
    dims = value.type.tensor_type.shape.dim
    assert (value.name, dims[0].dim_param) == ("x", "batch")
    assert [dim.dim_value for dim in dims[1:]] == sizes
    assert _operators(graph)["Transpose"] == (layout == "nhwc")


@pytest.mark.parametrize(
    ("net", "expected"),
    LAYERS,
)
def test_every_layer_is_one_prelu(
    nets: Path, tmp_path: Path, net: str, expected: dict[str, list[int]]
) -> None:
    graph, document = _exported(f"{nets}:{net}", tmp_path)
    found = prelus(graph)
    assert found == expected
    assert [layer["name"] for layer in document["layers"]] == list(expected)


def test_a_convolution_of_one_dimension_is_one_node(nets: Path, tmp_path: Path) -> None:
    graph, _ = _exported(f"{nets}:sound", tmp_path)
    assert _operators(graph) == Counter({"Conv": 3, "PRelu": 2, "Transpose": 1, "ReduceMean": 1})


def test_the_parameter_of_a_block_is_named_as_its_layer_has_it(nets: Path, tmp_path: Path) -> None:
    graph, _ = _exported(f"{nets}:blocks", tmp_path)
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    assert {"conv/low", "conv/high", "mix/alpha", "last/alpha"} <= set(tensors)
    assert tensors["conv/high"].tolist() == [1.0]


def test_names_of_a_subclassed_model_are_those_of_its_dicts(nets: Path, tmp_path: Path) -> None:
    graph, _ = _exported(f"{nets}:subclassed", tmp_path)
    assert [value.name for value in graph.input] == ["left", "right"]
    assert [value.name for value in graph.output] == ["score"]


def test_calls_are_numbered_as_the_source_makes_them(nets: Path, tmp_path: Path) -> None:
    graph, document = _exported(f"{nets}:crossed", tmp_path)
    (concat,) = (node for node in graph.node if node.op_type == "Concat")
    makers = {node.output[0]: node.name for node in graph.node}
    assert [makers[name] for name in concat.input] == ["act_1", "act"]
    assert [layer["name"] for layer in document["layers"]] == ["act"]


def test_a_layer_applied_to_each_step_is_called_once_a_step(nets: Path, tmp_path: Path) -> None:
    found = prelus(_exported(f"{nets}:each_step", tmp_path)[0])
    assert set(found) == {"in", "in_1", "in_2", "in_3", "out"}
    assert len({str(shape) for name, shape in found.items() if name != "out"}) == 1


def test_an_operator_that_onnx_lacks_is_refused_by_its_layer(nets: Path, tmp_path: Path) -> None:
    found = cli("export", f"{nets}:unknown", "-o", tmp_path / "net.onnx")
    assert found.code == 3
    assert "odd" in found.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def saved(nets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`recurrent` and `blocks` as SavedModels, and a module of TensorFlow's own."""
    from prelu_tools.backends.keras.framework import keras, tf
    from prelu_tools.backends.quiet import quiet
    from prelu_tools.backends.source_spec import build_object, parse_source_spec

    folder = tmp_path_factory.mktemp("saved")
    with quiet(show=False):
        for name in ("recurrent", "blocks"):
            model: Any = build_object(parse_source_spec(f"{nets}:{name}"))
            model.export(folder / name, verbose=False)
        module = tf.Module()
        module.weight = tf.Variable(np.eye(3, dtype=np.float32))
        module.alpha = tf.Variable([0.5, -0.25, 2.0])

        def call(x: Any) -> dict[str, Any]:
            y = x @ module.weight
            return {"y": tf.where(y > 0, y, module.alpha * y)}

        spec = tf.TensorSpec([None, 3], tf.float32, name="features")
        module.call = tf.function(call, input_signature=[spec])
        tf.saved_model.save(module, str(folder / "module"), signatures=module.call)
        tf.saved_model.save(module, str(folder / "bare"), signatures={})
        keras.Sequential([keras.Input((2,)), keras.layers.PReLU(name="p")]).save(folder / "p.h5")
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recurrent", {"a": [1, 1, 4], "b": [1, 1, 6], "c": [3]}),
        ("module", {"alpha": [3]}),
    ],
)
def test_a_saved_model_runs_by_its_signature(
    saved: Path, tmp_path: Path, name: str, expected: dict[str, list[int]]
) -> None:
    graph, document = _exported(str(saved / name), tmp_path)
    assert prelus(graph) == expected
    verified = document["verification"]
    assert verified["reference_precision"] == "float64"
    assert verified["coverage"]["exercised"] > 0


def test_a_saved_model_is_the_model_that_it_was_made_from(
    nets: Path, saved: Path, tmp_path: Path
) -> None:
    _, document = _exported(f"{nets}:blocks", tmp_path)
    found = cli("verify", saved / "blocks", tmp_path / "net.onnx", "--format", "json")
    assert found.code == 0, found.out
    layers = found.json["candidates"][0]["layers"]
    assert [layer["name"] for layer in layers] == [la["name"] for la in document["layers"]]
    assert all(layer["slopes_equal"] for layer in layers)


def test_names_of_inputs_and_outputs_are_those_of_the_signature(
    saved: Path, tmp_path: Path
) -> None:
    graph, _ = _exported(str(saved / "module"), tmp_path)
    assert [value.name for value in graph.input] == ["features"]
    assert [value.name for value in graph.output] == ["y"]


def test_a_saved_model_without_a_signature_says_how_to_save_it(saved: Path, tmp_path: Path) -> None:
    found = cli("export", saved / "bare", "-o", tmp_path / "net.onnx")
    assert found.code == 3
    assert "signatures=" in found.err


def test_a_model_in_hdf5_is_exported(saved: Path, tmp_path: Path) -> None:
    assert prelus(_exported(str(saved / "p.h5"), tmp_path)[0]) == {"p": [2]}
