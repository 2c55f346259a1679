"""What the observer of a Keras model is told, eager and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import Told, observed, source_of

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption
from prelu_tools.core.process import grouping

pytestmark = pytest.mark.keras
pytest.importorskip("keras")
Array = Any

SLOPES = np.array([0.25, -0.5, 2.0], np.float32)


def _built_in(keras: Any) -> Any:
    start = keras.initializers.Constant(SLOPES.reshape(1, 1, 3))
    return keras.layers.PReLU(start, shared_axes=[1, 2], name="act")


def _hand_written(keras: Any) -> Any:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            start = keras.initializers.Constant(SLOPES)
            self.slope = self.add_weight(name="slope", shape=(3,), initializer=start)

        def call(self, x: Any) -> Any:
            return keras.ops.where(x > 0, x, self.slope * x)

    return Own(name="act")


def _functional(keras: Any, act: Any) -> Any:
    x = keras.Input((4, 5, 3), name="x")
    return keras.Model(x, act(keras.ops.flip(act(x), axis=-1) - 1))


def _subclassed(keras: Any, act: Any) -> Any:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.act = act

        def call(self, x: Any) -> Any:
            return self.act(keras.ops.flip(self.act(x), axis=-1) - 1)

    net = Net()
    net(np.zeros((1, 4, 5, 3), np.float32))
    return net


def _open(model: Any) -> Any:
    return source_of(model, InputOption("x", ("batch", 4, 5, 3)))


def _images(rows: int = 2) -> Array:
    return np.random.default_rng(0).normal(size=(rows, 4, 5, 3)).astype(np.float32)


_EACH = [
    pytest.mark.parametrize("act", [_built_in, _hand_written]),
    pytest.mark.parametrize("net", [_functional, _subclassed]),
]


def _each(test: Any) -> Any:
    for mark in _EACH:
        test = mark(test)
    return test


@_each
def test_every_call_is_told_with_its_input_and_its_output(keras: Any, act: Any, net: Any) -> None:
    source = _open(net(keras, act(keras)))
    x = _images()
    told = observed(source, {"x": x})
    assert told.numbers == [("act", 0), ("act", 1)]
    (_, _, first_x, first_y), (_, _, second_x, second_y) = told.calls
    assert np.array_equal(first_x, x)
    assert np.array_equal(first_y, np.where(x > 0, x, SLOPES * x))
    assert np.array_equal(second_x, first_y[..., ::-1] - 1)
    assert np.array_equal(second_y, np.where(second_x > 0, second_x, SLOPES * second_x))


@_each
def test_numbers_begin_anew_in_each_run_and_outputs_stay(keras: Any, act: Any, net: Any) -> None:
    source = _open(net(keras, act(keras)))
    told = Told()
    with source.runner() as plain, source.runner(told) as watched:
        for feeds in ({"x": _images()}, {"x": _images(3)}):
            (left,), (right,) = plain.run(feeds).values(), watched.run(feeds).values()
            assert left.tobytes() == right.tobytes()
    assert [number for _, number in told.numbers][-2:] == [0, 1]
    assert {len(x) for _, _, x, _ in told.calls} == {2, 3}


@_each
def test_a_layer_by_itself_is_that_layer(keras: Any, act: Any, net: Any) -> None:
    source = _open(net(keras, act(keras)))
    alone = source.activation("act")
    for rows in (1, 5):
        x = _images(rows)
        assert np.array_equal(alone(x), np.where(x > 0, x, SLOPES * x))
    with pytest.raises(PReLUToolsError, match="other cannot be called in isolation"):
        source.activation("other")


@pytest.mark.parametrize("budget", [grouping.BUDGET, 1, 2 * 8 * 64 * 60])
@_each
def test_the_wide_runner_tells_of_the_same_calls_in_float64(
    keras: Any, act: Any, net: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _open(net(keras, act(keras)))
    groups = []

    def few(items: Any, sizes: Any) -> Any:
        found = list(grouping.grouped(items, sizes, budget))
        groups.append(len(found))
        return found

    monkeypatch.setattr("prelu_tools.backends.keras.running.wide.grouped", few)
    told = Told()
    with source.wide_runner(told) as runner:
        first = runner.run({"x": _images()})
        runner.run({"x": _images()})
    assert groups == [2 if budget < grouping.BUDGET else 1]
    assert told.numbers == [("act", 0), ("act", 1)] * 2
    assert {x.dtype for _, _, x, _ in told.calls} == {np.dtype(np.float64)}
    told.check(source.layers())
    assert np.array_equal(told.calls[0][2], _images())
    assert np.array_equal(told.calls[1][3], next(iter(first.values())))


def _crowd(keras: Any) -> Any:
    """Layers of one weight that are no PReLU: of another shape, of integers, of a list."""

    class Weighted(keras.layers.Layer):
        def build(self, shapes: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

        def call(self, parts: Any) -> Any:
            return keras.ops.concatenate([self.scale * parts[0], parts[1]], axis=-1)

    tokens = keras.Input((4,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(5, 3)(tokens)
    y = keras.layers.Dense(2, use_bias=False)(x)
    x = Weighted(name="weighted")([x, y])
    return keras.Model(tokens, keras.layers.PReLU("ones", shared_axes=[1], name="act")(x))


def test_other_layers_of_one_weight_are_not_told(keras: Any) -> None:
    source = source_of(_crowd(keras))
    feeds = {"tokens": np.array([[0, 1, 2, 4]], np.int32)}
    assert observed(source, feeds).numbers == [("act", 0)]
    wide = Told()
    with source.wide_runner(wide) as runner:
        runner.run(feeds)
    assert wide.numbers == [("act", 0)]


def test_an_observer_is_told_nothing_after_the_block(keras: Any) -> None:
    model = _functional(keras, _built_in(keras))
    source = _open(model)
    told = observed(source, {"x": _images()})
    model(_images())
    assert len(told.calls) == 2
    assert all("call" not in vars(layer) for layer in model.layers)


def test_the_wide_runner_without_an_observer_taps_nothing(keras: Any) -> None:
    source = _open(_functional(keras, _built_in(keras)))
    with source.wide_runner() as runner:
        assert runner._groups == []
