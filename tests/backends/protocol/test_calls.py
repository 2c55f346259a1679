"""From calls to layers and parameters, and the numbers of calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from observing import Told

from prelu_tools.backends.protocol.calls import PReLUCall, Tally, activation_of, layers_of
from prelu_tools.core.arrays import IntArray
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import Shape

VALUES = np.array([0.25, -0.5, 0.125], np.float32)
CHANNELS = np.arange(3).reshape(1, 3, 1)
X, Y = np.ones((2, 3, 4)), np.zeros((2, 3, 4))


def _call(
    layer: str = "act",
    indices: IntArray = CHANNELS,
    shape: Shape = (None, 3, 4),
    preceding: int | None = 7,
) -> PReLUCall:
    return PReLUCall(layer, f"{layer}.weight", "PReLU", VALUES, indices, shape, preceding)


def test_a_layer_of_one_call() -> None:
    (layer,) = layers_of([_call()])
    assert (layer.name, layer.nodes, layer.parameter) == ("act", ("act",), "act.weight")
    assert (layer.form, layer.input_shape, layer.stored_shape) == ("PReLU", (None, 3, 4), (3,))
    assert np.array_equal(layer.slopes, VALUES.reshape(1, 3, 1))
    assert not layer.slopes.flags.writeable
    assert (layer.preceding_parameters, layer.same_instance, layer.axes) == (7, True, None)


def test_calls_of_one_parameter_are_one_layer_in_the_order_of_its_first_call() -> None:
    calls = [_call("b"), _call("a"), _call("b"), _call("a"), _call("b")]
    assert [(layer.name, layer.nodes) for layer in layers_of(calls)] == [
        ("b", ("b", "b_1", "b_2")),
        ("a", ("a", "a_1")),
    ]


def test_slopes_are_laid_as_the_first_call_lays_them() -> None:
    turned = np.array([2, 0, 1]).reshape(1, 3, 1)
    flat = _call(indices=np.arange(3).reshape(1, 3), shape=(None, 3), preceding=None)
    (layer,) = layers_of([_call(indices=turned), flat])
    assert layer.slopes.ravel().tolist() == VALUES[[2, 0, 1]].tolist()
    assert (layer.input_shape, layer.preceding_parameters) == ((None, 3, 4), 7)


def test_calls_are_numbered_by_layer() -> None:
    told = Told()
    tally = Tally([_call("a"), _call("b"), _call("a")], told)
    found = [tally(f"{name}.weight", X, Y) for name in ("a", "b", "a", "other", "a")]
    assert found == [True, True, True, False, True]
    assert told.numbers == [("a", 0), ("b", 0), ("a", 1), ("a", 2)]
    assert all(x is X and y is Y for _, _, x, y in told.given)


def test_the_activation_is_that_of_the_layer_by_its_name() -> None:
    calls = [
        replace(_call("a"), apply=lambda x: x + 1),
        replace(_call("b"), apply=lambda x: x + 2),
        _call("c"),
        replace(_call("c"), apply=lambda x: x + 3),
    ]
    assert [float(activation_of(calls, name)(np.zeros(1))[0]) for name in "abc"] == [1, 2, 3]


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_layer_that_cannot_be_called_by_itself_is_said(name: str) -> None:
    with pytest.raises(PReLUToolsError, match=f"{name} cannot be called in isolation"):
        activation_of([_call("a")], name)
