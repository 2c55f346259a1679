"""Keras models of all kinds, for each backend of Keras, and the PReLU that each of them has."""

from __future__ import annotations

import onnx

NETS = '''
import keras
import numpy as np

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


def sound():
    return seq(
        X(16, 3), L.Conv1D(4, 3, padding="same"), act("a", [1]), L.SeparableConv1D(4, 3, strides=2),
        L.BatchNormalization(), act("b", [1]), L.GlobalAveragePooling1D(),
    )


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
        y = keras.ops.where(y > 0, y, self.low * y)
        return keras.ops.maximum(y, 0.0) + self.high * keras.ops.minimum(y, 0.0)


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
        return {"score": keras.ops.where(y < 0, self.alpha * y, y)}


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
        return keras.ops.concatenate([self.act(self.two(x)), one], axis=-1)


def crossed():
    keras.utils.set_random_seed(0)
    model = Crossed()
    model(np.ones((2, 4), "float32"))
    return model
'''

AXES = [
    ("None", [4, 6, 5]), ("[1]", [4, 1, 5]), ("[2]", [4, 6, 1]), ("[3]", [6, 5]),
    ("[1,2]", [4, 1, 1]), ("[1,3]", [1, 1, 5]), ("[2,3]", [6, 1]), ("[1,2,3]", [1]),
]  # fmt: skip
"""Shared axes of the first layer of `last`, and the shape that its slopes have in the graph."""

LAYERS: list[tuple[str, dict[str, list[int]]]] = [
    ("grouped", {"a": [4, 1, 1, 1], "b": [6, 1, 1]}),
    ("volume_first", {"a": [3, 1, 1, 1]}),
    ("sound", {"a": [4, 1], "b": [4, 1]}),
    ("recurrent", {"a": [1, 1, 4], "b": [1, 1, 6], "c": [3]}),
    ("blocks", {"conv/low": [3, 1, 1], "conv/high": [1], "mix": [1, 1, 4], "last": [4, 4, 2]}),
    ("subclassed", {"act": [4], "alpha": [4]}),
]
"""The layers of nets, with the shapes of their slopes in the graph."""


def prelus(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """The PRelu nodes of a graph by name, with the shapes of their slopes."""
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return {n.name: shapes[n.input[1]] for n in graph.node if n.op_type == "PRelu"}
