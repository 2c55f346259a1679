"""What a Keras model decides by numbers: an `if`, and the conditions of TensorFlow and Keras."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.keras

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from prelu_tools.backends.keras.source import KerasSource  # noqa: E402
from prelu_tools.core.options import SourceOptions  # noqa: E402
from prelu_tools.core.results.verification.decisions import Decision  # noqa: E402

UP, DOWN = [[1.0, 2.0, 3.0]], [[-1.0, -2.0, -3.0]]
BOTH = frozenset({"evaluated to true", "evaluated to false"})


class Choosing(keras.layers.Layer):
    """Two PReLU; which one runs is decided as it was told."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.a, self.b = (keras.layers.PReLU(name=name) for name in "ab")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def build(self, shape: object) -> None:
        """Both."""
        self.a.build(shape)
        self.b.build(shape)

    def call(self, x: object) -> object:
        """One of them."""
        mean = keras.ops.mean(x)
        if self.how == "keras":
            return keras.ops.cond(mean > 0, lambda: self.a(x), lambda: self.b(x))
        if self.how == "tensorflow":
            return tf.cond(mean > 0, lambda: self.a(x), lambda: self.b(x))
        if self.how == "parameter":
            return keras.ops.cond(self.scale > 0, lambda: self.a(x), lambda: self.b(x))
        if self.how == "number":
            return self.a(x) if not tf.executing_eagerly() or float(mean) > 0 else self.b(x)
        if self.how == "python":
            return self.a(x) if not tf.executing_eagerly() or mean > 0 else self.b(x)
        return self.a(x)


def _decisions(how: str, *runs: object) -> list[Decision]:
    x = keras.Input((3,), name="x")
    source = KerasSource(keras.Model(x, Choosing(how)(x)), how, SourceOptions())
    return list(source.decisions([{"x": np.array(run, np.float32)} for run in runs]))


@pytest.mark.parametrize("how", ["keras", "tensorflow", "python"])
def test_a_condition_is_seen_with_the_ways_that_it_took(how: str) -> None:
    (one,) = _decisions(how, UP)
    assert one.taken == {"evaluated to true"}
    assert one.name.startswith("the condition at test_keras_deciding.py:")
    (both,) = _decisions(how, UP, DOWN)
    assert both.taken == BOTH


def test_a_number_that_decides_is_seen() -> None:
    (one,) = _decisions("number", UP)
    assert one.untaken
    (both,) = _decisions("number", UP, DOWN)
    assert not both.untaken


@pytest.mark.parametrize("how", ["parameter", "plain"])
def test_what_no_input_decides_is_no_decision(how: str) -> None:
    assert _decisions(how, UP, DOWN) == []
