"""A Keras model's gradients lead to inputs that reach slopes which draws do not reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observing import coverage, source_of
from seek_checks import limits, normal, seek, watched_seek

from prelu_tools.core.options import InputOption

pytestmark = pytest.mark.keras
pytest.importorskip("keras")


def _source(model: Any) -> Any:
    given = () if getattr(model, "inputs", None) else (InputOption("x", ("batch", 6, 6, 3)),)
    return source_of(model, *given)


def _own(keras: Any) -> Any:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.slope = self.add_weight(name="slope", shape=(4,), initializer="ones")

        def call(self, x: Any) -> Any:
            return keras.ops.where(x > 0, x, self.slope * x)

    return Own(name="act")


def _built_in(keras: Any) -> Any:
    return keras.layers.PReLU(shared_axes=[1, 2], name="act")


def _biased(keras: Any, act: Any = None, *, subclassed: bool = False) -> Any:
    """The second channel is far above zero for all but strange inputs."""
    conv = keras.layers.Conv2D(
        4, 3, padding="same", bias_initializer=keras.initializers.Constant([0.0, 15.0, 0.0, 0.0]),
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.2, seed=0),
    )  # fmt: skip
    parts = [conv, act or _built_in(keras)]
    if not subclassed:
        return keras.Sequential([keras.Input((6, 6, 3), name="x"), *parts])

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = parts

        def call(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

    return Net()


@pytest.mark.parametrize("subclassed", [False, True])
@pytest.mark.parametrize("act", [_built_in, _own])
def test_a_channel_of_large_bias_is_reached(keras: Any, act: Any, subclassed: bool) -> None:
    source = _source(_biased(keras, act(keras), subclassed=subclassed))
    start = {"x": normal(8, 6, 6, 3)}
    assert coverage(source, start).unreached() == ("act[1]",)
    book, batches = seek(source, start, limits())
    assert book.unreached() == ()
    assert {feeds["x"].dtype for feeds in batches} == {np.dtype(np.float32)}


def test_only_its_own_runs_are_told_to_an_open_runner(keras: Any) -> None:
    model = _biased(keras)
    assert watched_seek(_source(model), {"x": normal(4, 6, 6, 3)}, limits()).unreached() == ()
    assert all("call" not in vars(layer) for layer in model.layers)


@pytest.mark.parametrize("whole", [True, False])
def test_a_batch_of_one_is_enough(keras: Any, whole: bool) -> None:
    source = _source(_biased(keras))
    book, batches = seek(source, {"x": abs(normal(1, 6, 6, 3))}, limits(whole=whole))
    assert book.unreached() == ()
    assert {feeds["x"].shape for feeds in batches} == {(1, 6, 6, 3)}


def test_a_slope_that_nothing_reaches_is_not_found(keras: Any) -> None:
    x = keras.Input((3,), name="x")
    act = keras.layers.PReLU(shared_axes=[1], name="act")
    source = _source(keras.Model(x, act(keras.ops.relu(keras.layers.Dense(2)(x)) + 1)))
    book, batches = seek(source, {"x": normal(4, 3)}, limits(seconds=2))
    assert (book.unreached(), batches) == (("act[0]",), [])


def test_slopes_for_each_position_are_reached_at_theirs(keras: Any) -> None:
    x = keras.Input((2, 3), name="x")
    source = _source(keras.Model(x, keras.layers.PReLU(name="act")(2 * x + 9)))
    start = {"x": normal(4, 2, 3)}
    assert coverage(source, start).exercised == 0
    book, _ = seek(source, start, limits())
    assert book.unreached() == ()


def test_a_gradient_that_is_sparse_is_followed(keras: Any) -> None:
    """The gradient of a gather over the first axis has rows for what was gathered only."""

    class Reversed(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            from prelu_tools.backends.keras.framework import tf

            return tf.gather(x, tf.range(tf.shape(x)[0])) + 9

    x = keras.Input((3,), name="x")
    source = _source(keras.Model(x, keras.layers.PReLU(name="act")(Reversed()(x))))
    book, _ = seek(source, {"x": normal(4, 3)}, limits())
    assert book.unreached() == ()


def test_gradients_leave_no_trace_on_the_model(keras: Any) -> None:
    model = _biased(keras)
    before = [np.array(weight).tobytes() for weight in model.weights]
    seek(_source(model), {"x": normal(2, 6, 6, 3)}, limits())
    assert [np.array(weight).tobytes() for weight in model.weights] == before
    assert all("call" not in vars(layer) for layer in model.layers)
