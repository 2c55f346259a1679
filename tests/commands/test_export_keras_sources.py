"""Whatever a Keras model is made of and kept in becomes the graph of its PReLU, verified."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import ROOT, cli, environment, process

pytestmark = pytest.mark.keras

_NETS = '''
import keras
import numpy as np
import tensorflow as tf

L = keras.layers
X = lambda *shape: keras.Input(shape, name="x")


def slopes(shape, dtype=None):
    """Different for each shape, of both signs, some above 1."""
    generator = np.random.default_rng(len(shape) + sum(shape))
    return keras.ops.convert_to_tensor(generator.uniform(-0.5, 1.5, shape), dtype=dtype)


def act(name, axes=None):
    return L.PReLU(slopes, shared_axes=axes, name=name)


def seq(*parts):
    keras.utils.set_random_seed(0)
    return keras.Sequential(list(parts))


def first(axes=None):
    f = "channels_first"
    return seq(
        X(3, 6, 5), L.Conv2D(4, 3, padding="same", data_format=f), act("a", axes),
        L.Conv2DTranspose(3, 2, data_format=f), L.MaxPooling2D(2, data_format=f), act("b", [2, 3]),
        L.GlobalAveragePooling2D(data_format=f), L.Dense(2),
    )


def last(axes=None):
    return seq(
        X(6, 5, 3), L.Conv2D(4, 3, padding="same"), act("a", axes), L.SeparableConv2D(3, 2),
        act("b", [1, 2]), L.GlobalAveragePooling2D(), L.Dense(2),
    )


def grouped():
    """Each is a function that XLA would compile; gelu is an operator that ONNX lacks."""
    return seq(
        X(4, 4, 4, 4), L.Conv3D(4, 2, groups=2), act("a", [1, 2, 3]), L.Reshape((3, 9, 4)),
        L.Conv2D(6, 2, groups=2), act("b", [1, 2]), L.Activation(exact_gelu),
    )


def exact_gelu(x):
    return keras.activations.gelu(x, approximate=False)


def volume_first():
    f = "channels_first"
    return seq(X(2, 4, 4, 4), L.Conv3D(3, 2, data_format=f), act("a", [2, 3, 4]))


def recurrent():
    return seq(
        X(5, 3), L.Dense(4), act("a", [1]), L.Bidirectional(L.LSTM(3, return_sequences=True)),
        act("b", [1]), L.GRU(4, return_sequences=True), L.SimpleRNN(3), act("c"),
    )


def each_step():
    inner = keras.Sequential([keras.Input((5, 5, 2)), L.Conv2D(3, 3), act("in", [1, 2])])
    return seq(X(4, 5, 5, 2), L.TimeDistributed(inner, name="steps"), act("out", [1, 2, 3]))


class Block(L.Layer):
    """A kernel and slopes in one layer."""

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4))
        self.alpha = self.add_weight(name="alpha", shape=(4,), initializer=slopes)

    def call(self, x):
        y = keras.ops.matmul(x, self.kernel)
        return keras.ops.relu(y) - self.alpha * keras.ops.relu(-y)


class ConvBlock(L.Layer):
    """A layer inside, and two slopes beside it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = L.Conv2D(3, 3)

    def build(self, shape):
        self.conv.build(shape)
        self.low = self.add_weight(name="low", shape=(3,), initializer=slopes)
        self.high = self.add_weight(name="high", shape=(1,), initializer="ones")

    def call(self, x):
        y = self.conv(x)
        y = tf.where(y > 0, y, self.low * y)
        return tf.maximum(y, 0.0) + self.high * tf.minimum(y, 0.0)


def blocks():
    keras.utils.set_random_seed(0)  # a layer draws its seed when it is made
    return seq(X(6, 6, 3), ConvBlock(name="conv"), Block(name="mix"), L.Dense(2), act("last"))


class Sub(keras.Model):
    """Slopes of its own; a dict goes in, and comes out."""

    def __init__(self):
        super().__init__()
        self.dense, self.act = L.Dense(4), act("act")
        self.alpha = self.add_weight(name="alpha", shape=(4,), initializer=slopes)

    def call(self, inputs):
        y = self.act(self.dense(inputs["left"]) + inputs["right"])
        return {"score": tf.where(y < 0, self.alpha * y, y)}


def subclassed():
    keras.utils.set_random_seed(0)
    model = Sub()
    model({"left": np.ones((2, 3), "float32"), "right": np.ones((2, 4), "float32")})
    return model


class Crossed(keras.Model):
    """The layer's first call comes last in the graph."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.act = L.Dense(4), L.Dense(4), act("act")

    def call(self, x):
        one = self.act(self.one(x))
        return tf.concat([self.act(self.two(x)), one], axis=-1)


def crossed():
    keras.utils.set_random_seed(0)
    model = Crossed()
    model(np.ones((2, 4), "float32"))
    return model


def unknown():
    return seq(X(4), L.Dense(4), L.Lambda(lambda x: tf.math.bessel_i0(x), name="odd"), act("a"))
'''


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "keras_nets_of_all_kinds.py"
    path.write_text(_NETS)
    return path


def _exported(source: str, folder: Path, *more: str) -> tuple[onnx.GraphProto, Any]:
    path = folder / "net.onnx"
    found = cli("export", source, "-o", path, "--format", "json", "--force", *more)
    assert found.code == 0, found.err
    assert found.json["verification"]["verdict"] == "pass"
    return onnx.load(path).graph, found.json


def _prelus(graph: onnx.GraphProto) -> dict[str, list[int]]:
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return {n.name: shapes[n.input[1]] for n in graph.node if n.op_type == "PRelu"}


def _operators(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


_AXES = [
    ("None", [4, 6, 5]), ("[1]", [4, 1, 5]), ("[2]", [4, 6, 1]), ("[3]", [6, 5]),
    ("[1,2]", [4, 1, 1]), ("[1,3]", [1, 5]), ("[2,3]", [6, 1]), ("[1,2,3]", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("axes", "shape"), _AXES)
def test_shared_axes_in_every_combination(
    nets: Path, tmp_path: Path, axes: str, shape: list[int]
) -> None:
    graph, _ = _exported(f"{nets}:last({axes})", tmp_path)
    assert _prelus(graph) == {"a": shape, "b": [3, 1, 1]}
    assert _operators(graph)["Transpose"] == 1  # of the input


@pytest.mark.parametrize(("axes", "shape"), [("[3]", [4, 6, 1]), ("[2,3]", [4, 1, 1])])
def test_channels_first_runs_on_a_cpu_and_needs_no_transpose(
    nets: Path, tmp_path: Path, axes: str, shape: list[int]
) -> None:
    graph, _ = _exported(f"{nets}:first({axes})", tmp_path)
    assert _prelus(graph) == {"a": shape, "b": [3, 1, 1]}
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
    [
        ("grouped", {"a": [4, 1, 1, 1], "b": [6, 1, 1]}),
        ("volume_first", {"a": [3, 1, 1, 1]}),
        ("recurrent", {"a": [1, 4], "b": [1, 6], "c": [3]}),
        ("blocks", {"conv/low": [3, 1, 1], "conv/high": [1], "mix": [1, 4], "last": [4, 4, 2]}),
        ("subclassed", {"act": [4], "alpha": [4]}),
    ],
)
def test_every_layer_is_one_prelu(
    nets: Path, tmp_path: Path, net: str, expected: dict[str, list[int]]
) -> None:
    graph, document = _exported(f"{nets}:{net}", tmp_path)
    found = _prelus(graph)
    assert found == expected
    assert [layer["name"] for layer in document["layers"]] == list(expected)


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
    found = _prelus(_exported(f"{nets}:each_step", tmp_path)[0])
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
    from prelu_tools.backends.spelling import build_object, parse_spelling

    folder = tmp_path_factory.mktemp("saved")
    with quiet(show=False):
        for name in ("recurrent", "blocks"):
            model: Any = build_object(parse_spelling(f"{nets}:{name}"))
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
        ("recurrent", {"a": [1, 4], "b": [1, 6], "c": [3]}),
        ("module", {"alpha": [3]}),
    ],
)
def test_a_saved_model_runs_by_its_signature(
    saved: Path, tmp_path: Path, name: str, expected: dict[str, list[int]]
) -> None:
    graph, document = _exported(str(saved / name), tmp_path)
    assert _prelus(graph) == expected
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
    assert _prelus(_exported(str(saved / "p.h5"), tmp_path)[0]) == {"p": [2]}


def test_another_backend_of_keras_is_refused_with_what_to_set(nets: Path, tmp_path: Path) -> None:
    env = environment(KERAS_BACKEND="torch", PYTHONPATH=str(ROOT))
    found = process("export", f"{nets}:last", "-o", "net.onnx", cwd=tmp_path, env=env)
    assert found.code == 3
    assert "KERAS_BACKEND=tensorflow" in found.err
    assert list(tmp_path.iterdir()) == []
