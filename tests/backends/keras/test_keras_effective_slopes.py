"""Slopes that a Keras layer computes, and PReLUs in functions, loops and branches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exporting import exported_layers

from prelu_tools.commands.export.command import export as export_source
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption

_NETS = """
import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

RAW = [-0.5, 0.3, 1.2]


def act(name, *values, **options):
    return L.PReLU(alpha_initializer=lambda shape, dtype=None: tf.constant(
        np.resize(np.float32(values or RAW), shape)), name=name, **options)


class Act(L.Layer):
    '''One weight, and perhaps a second.'''

    def __init__(self, how, **options):
        super().__init__(**options)
        self.how = how

    def build(self, shape):
        self.raw = self.add_weight(shape=(3,), name="raw")
        if "gain" in self.how:
            self.gain = self.add_weight(shape=(1,), name="gain")

    def call(self, x):
        return eval(self.how, globals(), {"x": x, "a": self.raw, "self": self})


def formula(how):
    keras.utils.set_random_seed(0)
    start = keras.Input((4,))
    layer = Act(how, name="act")
    model = keras.Model(start, layer(L.Dense(3)(start)))
    layer.raw.assign(RAW)
    if "gain" in how:
        layer.gain.assign([0.5])
    return model


def literal():
    start = keras.Input((4,))
    slopes = tf.constant([0.5, -0.25, 2.0])
    x = L.Lambda(lambda x: tf.where(x > 0, x, slopes * x), name="own")(L.Dense(3)(start))
    return keras.Model(start, x)


def number():
    start = keras.Input((4,))
    return keras.Model(start, keras.ops.maximum(start, 0) + 0.3 * keras.ops.minimum(start, 0))


def turned(order, back, *shape, **options):
    start = keras.Input(shape)
    x = keras.ops.transpose(L.Conv2D(4, 3, padding="same")(start), order)
    own = act("act", *np.linspace(-0.5, 0.9, 100), **options)  # a slope of its own for each place
    return keras.Model(start, keras.ops.transpose(own(x), back))


def operations():
    start = keras.Input((4,))
    x = L.Dense(3)(start)
    return keras.Model(start, keras.ops.where(x > 0, x, keras.ops.convert_to_tensor(RAW) * x))


class Cell(L.Layer):
    '''A recurrent cell with a PReLU inside.'''

    def __init__(self, **options):
        super().__init__(**options)
        self.state_size = 3
        self.dense, self.act = L.Dense(3), act("cell_act")

    def build(self, shape):
        self.dense.build((shape[0], shape[-1] + 3))
        self.act.build((None, 3))

    def call(self, x, states):
        y = self.act(self.dense(tf.concat([x, states[0]], -1)))
        return y, [y]


class Steps(L.Layer):
    def __init__(self, how, **options):
        super().__init__(**options)
        self.how, self.first, self.second = how, act("first"), act("second", 0.1, -0.2, 0.4)

    def build(self, shape):
        self.first.build((None, 3))
        self.second.build((None, 3))

    def call(self, x):
        return getattr(self, self.how)(x)

    def cond(self, x):
        return tf.cond(tf.reduce_sum(x) > 1e3, lambda: self.first(x), lambda: self.second(-x))

    def loop(self, x):
        turn = lambda i, y: (i + 1, 0.5 * self.first(y))
        return tf.while_loop(lambda i, y: i < 3, turn, (0, x))[1]

    def unrolled(self, x):
        return self.second(tf.map_fn(lambda row: self.first(row[None])[0], x))

    @tf.function
    def function(self, x):
        return self.first(x)

    @tf.function(jit_compile=True)
    def compiled(self, x):
        return self.first(x) + self.second(x)

    def recomputed(self, x):
        return tf.recompute_grad(lambda y: self.first(y))(x)


def steps(how):
    keras.utils.set_random_seed(0)
    start = keras.Input((4,))
    return keras.Model(start, Steps(how, name="steps")(L.Dense(3, name="before")(start)))


def recurrent(how):
    keras.utils.set_random_seed(0)
    start = keras.Input((None, 3) if how == "any steps" else (5, 3))
    x = {
        "cell": lambda: L.RNN(Cell())(start),
        "lstm": lambda: L.LSTM(3, activation=act("inner"))(start),
        "both ways": lambda: L.Bidirectional(L.GRU(3, activation=L.PReLU("random_normal")))(start),
        "distributed": lambda: L.TimeDistributed(act("inner"))(start),
        "any steps": lambda: L.TimeDistributed(act("inner"))(start),
    }[how]()
    return keras.Model(start, x)


class OfAll(L.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)

    def compute_output_shape(self, shape):
        return shape


def mixed():
    '''A step depends on all rows of the batch: it cannot be a row itself.'''
    start = keras.Input((None, 3))
    return keras.Model(start, L.PReLU(shared_axes=[1])(L.TimeDistributed(OfAll())(start)))


def spelled(x, slopes):
    return tf.nn.relu(x) - slopes * tf.nn.relu(-x)


def positive(x):
    return tf.reduce_mean(x) > 0


class Beside(L.Layer):
    '''Spells PReLU out in the body of a branch or a loop, beside other variables.'''

    def __init__(self, how, **options):
        super().__init__(**options)
        self.how = how

    def build(self, shape):
        values = {"a": RAW, "b": [0.1, -0.2, 0.4]}
        for name, given in values.items():
            made = tf.constant(given)
            setattr(self, name, self.add_weight(
                shape=(3,), name=name, initializer=lambda shape, dtype=None, made=made: made))
        codes = tf.constant([-50, 30, 120], tf.int8)
        self.codes = self.add_weight(shape=(3,), name="codes", dtype="int8", trainable=False,
                                     initializer=lambda shape, dtype=None: codes)
        self.mix = self.add_weight(shape=(3, 3), name="mix", initializer="glorot_uniform")

    def call(self, x):
        return getattr(self, self.how)(x, self.a, self.b)

    def branch(self, x, a, b):
        return tf.cond(positive(x), lambda: spelled(x, a), lambda: 2.0 * x)

    def branches(self, x, a, b):
        return tf.cond(positive(x), lambda: spelled(x, a), lambda: spelled(x @ self.mix, b))

    def computed(self, x, a, b):
        half = 0.5 * a
        return tf.cond(positive(x), lambda: spelled(x, a), lambda: spelled(x, half))

    def nested(self, x, a, b):
        inner = lambda: tf.cond(positive(x - 1.0), lambda: spelled(x, a), lambda: x)
        return tf.cond(positive(x), inner, lambda: -x)

    def mapped(self, x, a, b):
        return tf.map_fn(lambda row: spelled(row, tf.clip_by_value(a, 0.0, 1.0)), x)

    def turns(self, x, a, b):
        turn = lambda i, y: (i + 1, spelled(y @ self.mix, a))
        return tf.while_loop(lambda i, y: i < 3, turn, (0, x))[1]

    def sums(self, x, a, b):
        return keras.ops.fori_loop(0, 2, lambda i, y: spelled(y + b, a), x) + spelled(x, a)

    def numbers(self, x, a, b):
        slopes = tf.constant([0.5, -0.25, 2.0])
        return tf.map_fn(lambda row: spelled(row, slopes), x) @ self.mix

    def vectorized(self, x, a, b):
        return keras.ops.vectorized_map(lambda row: tf.where(row > 0, row, row * a), x) @ self.mix

    def columns(self, x, a, b):
        parts = [tf.where(c > 0, c, a[i] * c) for i, c in enumerate(tf.unstack(x, axis=1))]
        return tf.stack(parts, 1) + b

    def diagonal(self, x, a, b):
        return tf.nn.relu(x) + tf.minimum(x, 0.0) @ tf.linalg.diag(a)

    def labelled(self, x, a, b):
        y = x @ self.mix
        return tf.nn.relu(y) - tf.einsum("nc,c->nc", tf.nn.relu(-y), a)

    def matrix(self, x, a, b):
        return tf.nn.relu(x) + tf.minimum(x, 0.0) @ (self.mix * a)

    def reordered(self, x, a, b):
        return tf.nn.relu(x) + tf.gather(tf.minimum(x, 0.0), [2, 0, 1], axis=1) * a

    def whole(self, x, a, b):
        return spelled(x, 0.01 * tf.cast(self.codes, tf.float32))

    def threshold(self, x, a, b):
        return tf.cond(positive(x), lambda: tf.where(x > 0.1, x, a * x), lambda: 2.0 * x)

    def changing(self, x, a, b):
        turn = lambda i, y, s: (i + 1, spelled(y, s), 0.5 * s)
        return tf.while_loop(lambda i, y, s: i < 3, turn, (0, x, a))[1]


def beside(how):
    keras.utils.set_random_seed(0)
    start = keras.Input((4,))
    return keras.Model(start, Beside(how, name="own")(L.Dense(3, name="before")(start)))


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.act = L.Dense(3), act("act")

    @tf.function
    def call(self, x):
        return self.act(self.dense(x))
"""

_RAW = np.array([-0.5, 0.3, 1.2], np.float32)
_OF = "tf.nn.relu(x) + ({}) * tf.minimum(x, 0.0)"

SLOPES: dict[str, tuple[str, Any]] = {
    "clipped": (_OF.format("tf.clip_by_value(a, 0.0, 1.0)"), [0, 0.3, 1]),
    "positive": (_OF.format("tf.nn.relu(a)"), [0, 0.3, 1.2]),
    "softplus": (_OF.format("tf.math.softplus(a)"), np.log1p(np.exp(_RAW))),
    "averaged": (_OF.format("tf.reduce_mean(a, keepdims=True)"), [1 / 3]),
    "negated": (_OF.format("-a"), -_RAW),
    "gathered": (_OF.format("tf.gather(a, [2, 0, 1])"), [1.2, -0.5, 0.3]),
    "joined": (_OF.format("tf.concat([a[1:], a[:1]], 0)"), [0.3, 1.2, -0.5]),
    "quantized": (_OF.format("tf.round(a * 8) / 8"), [-0.5, 0.25, 1.25]),
    "of two weights": (_OF.format("tf.sigmoid(a) * self.gain"), 0.5 / (1 + np.exp(-_RAW))),
    "halves": ("0.5 * (1 + a) * x + 0.5 * (1 - a) * tf.abs(x)", _RAW),
    "less than x": ("x - (1.0 - a) * tf.minimum(x, 0.0)", _RAW),
    "a factor by sign": ("x * tf.where(x < 0, a, tf.ones_like(x))", _RAW),
    "a Conv-TasNet": ("tf.nn.relu(x) - (x - tf.nn.relu(x)) * a", -_RAW),
    "in float64 inside": (
        "tf.cast(tf.where(tf.cast(x, tf.float64) > 0, tf.cast(x, tf.float64), "
        "tf.cast(a, tf.float64) * tf.cast(x, tf.float64)), tf.float32)",
        _RAW,
    ),
    "a checked condition": (
        "tf.where(tf.logical_or(tf.stop_gradient(x) > 0, tf.equal(x, 0.0)), x, a * x)",
        _RAW,
    ),
    "computed again": ("tf.where(tf.sin(x) > 0, tf.sin(x), a * tf.sin(x))", _RAW),
    "an offset behind it": ("tf.where(x > 0, x, a * x) + a", _RAW),
    "a floor behind it": ("tf.maximum(tf.where(x > 0, x, a * x), -0.5)", _RAW),
}

NONE = {
    "a threshold": "tf.where(x > 0.01, x, a * x)",
    "a threshold at the mean": "tf.where(x > tf.reduce_mean(x), x, a * x)",
    "an offset in a branch": "tf.where(x > 0, x, a * x - 0.001)",
    "a scale": "a * x",
    "computed otherwise": "tf.where(tf.sin(x) > 0, tf.sin(x), a * tf.sin(x + 0.001))",
}

PLACES = {
    "steps('cond')": ["first", "second"],
    "steps('loop')": ["first"],
    "steps('unrolled')": ["first", "second"],
    "steps('function')": ["first"],
    "steps('compiled')": ["first", "second"],
    "steps('recomputed')": ["first"],
    "recurrent('cell')": ["cell_act"],
    "recurrent('lstm')": ["inner"],
    "recurrent('distributed')": ["inner"],
    "recurrent('any steps')": ["inner"],
}

_OTHER = [0.1, -0.2, 0.4]
BESIDE: dict[str, dict[str, Any]] = {
    "branch": {"own": _RAW},
    "branches": {"own/a": _RAW, "own/b": _OTHER},
    "computed": {"own/a": _RAW, "own/a_1": _RAW / 2},
    "nested": {"own": _RAW},
    "mapped": {"own": [0, 0.3, 1]},
    "turns": {"own": _RAW},
    "sums": {"own": _RAW},
    "numbers": {"own": [0.5, -0.25, 2.0]},
    "vectorized": {"own": _RAW},
    "columns": {"own/a": -0.5, "own/a_1": 0.3, "own/a_2": 1.2},
    "diagonal": {"own": _RAW},
    "labelled": {"own": _RAW},
    "whole": {"own": _RAW},
    "matrix": {},
    "reordered": {},
    "threshold": {},
    "changing": {},
}


@pytest.mark.parametrize("label", SLOPES)
def test_the_slopes_that_a_layer_computes_are_found_and_exported(nets: Path, label: str) -> None:
    how, expected = SLOPES[label]
    (layer,), result = exported_layers(f"{nets}:formula({how!r})", nets.parent)
    assert layer.parameter == "act/raw"
    np.testing.assert_allclose(layer.slopes.reshape(-1), expected, rtol=2e-6)
    (written,) = result.layers
    assert written.slopes.reshape(-1).tolist() == layer.slopes.reshape(-1).tolist()
    graph = onnx.load(result.path).graph
    assert [node.op_type for node in graph.node].count("PRelu") == 1


@pytest.mark.parametrize("label", NONE)
def test_what_is_nearly_a_prelu_is_none(nets: Path, label: str) -> None:
    layers, result = exported_layers(f"{nets}:formula({NONE[label]!r})", nets.parent)
    assert layers == result.layers == ()


def test_a_number_of_the_code_is_not_learned(nets: Path) -> None:
    layers, result = exported_layers(f"{nets}:number", nets.parent)
    assert layers == result.layers == ()
    (node,) = onnx.load(result.path).graph.node
    assert (node.op_type, node.attribute[0].f) == ("LeakyRelu", np.float32(0.3))


@pytest.mark.parametrize(
    "how",
    [
        "(0, 2, 1, 3), (0, 2, 1, 3), 5, 6, 3, shared_axes=[1, 2]",
        "(0, 3, 2, 1), (0, 2, 3, 1), 5, 6, 3, shared_axes=[2, 3]",
        "(0, 2, 1, 3), (0, 2, 1, 3), 5, 6, 3",
        "(0, 2, 1, 3), (0, 2, 1, 3), 5, 5, 3",
    ],
)
def test_axes_may_be_moved_in_any_order_around_a_layer(nets: Path, how: str) -> None:
    (layer,), result = exported_layers(f"{nets}:turned({how})", nets.parent)
    assert [one.slopes.size for one in result.layers] == [layer.slopes.size]


def test_operations_of_keras_are_looked_at(nets: Path) -> None:
    (layer,), result = exported_layers(f"{nets}:operations", nets.parent)
    assert layer.slopes.tolist() == [_RAW.tolist()]
    assert [item.slopes.tolist() for item in result.layers] == [layer.slopes.tolist()]


def test_numbers_of_the_code_are_slopes_where_there_are_several(nets: Path) -> None:
    (layer,), result = exported_layers(f"{nets}:literal", nets.parent)
    assert (layer.name, layer.slopes.reshape(-1).tolist()) == ("own", [0.5, -0.25, 2.0])
    assert [item.slopes.tolist() for item in result.layers] == [[[0.5, -0.25, 2.0]]]


@pytest.mark.parametrize("call", PLACES)
def test_layers_in_functions_loops_and_branches_are_found_and_exported(
    nets: Path, call: str
) -> None:
    layers, result = exported_layers(f"{nets}:{call}", nets.parent)
    for found in (layers, result.layers):
        assert sorted(layer.name for layer in found) == PLACES[call]
        slopes = {layer.name: layer.slopes.reshape(-1) for layer in found}
        for name, values in slopes.items():
            own = [0.1, -0.2, 0.4] if name == "second" else _RAW
            np.testing.assert_allclose(values, own, rtol=1e-6)


@pytest.mark.parametrize("how", BESIDE)
def test_what_a_body_spells_out_beside_other_variables_is_found_and_exported(
    nets: Path, how: str
) -> None:
    layers, result = exported_layers(f"{nets}:beside({how!r})", nets.parent)
    for found in (layers, result.layers):
        assert [layer.name for layer in found] == [*BESIDE[how]]
        for layer, slopes in zip(found, BESIDE[how].values(), strict=True):
            np.testing.assert_allclose(layer.slopes.reshape(-1), slopes, rtol=1e-6)
        assert [len(layer.nodes) for layer in found] == [1 + (how == "sums") for _ in found]


def test_steps_that_are_no_rows_are_never_exported_as_such(nets: Path) -> None:
    with pytest.raises(PReLUToolsError, match="differs from its source"):
        export_source(ExportRequest(f"{nets}:mixed", nets.parent / "mixed.onnx"))
    assert not (nets.parent / "mixed.onnx").exists()


def test_both_directions_have_layers_of_their_own(nets: Path) -> None:
    layers, result = exported_layers(f"{nets}:recurrent('both ways')", nets.parent)
    assert len(layers) == len(result.layers) == 2


def test_a_model_whose_call_is_a_function_is_looked_into(nets: Path) -> None:
    inputs = InputOption("x", ("batch", 4))
    layers, result = exported_layers(f"{nets}:Plain", nets.parent, inputs)
    assert [layer.name for layer in layers] == [layer.name for layer in result.layers] == ["act"]
