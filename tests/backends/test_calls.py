"""From calls to layers and parameters, and what the inputs of a call reach."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.backends.calls import PReLUCall, layers_of, note_reach, parameters_of
from prelu_tools.backends.conversion import Parameter
from prelu_tools.backends.interface import Reach
from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.slopes import Shape

VALUES = np.array([0.25, -0.5, 0.125], np.float32)
CHANNELS = np.arange(3).reshape(1, 3, 1)
SHARED = np.zeros((1, 1, 1), np.int64)


def _call(
    layer: str = "act",
    values: Array = VALUES,
    indices: IntArray = CHANNELS,
    shape: Shape = (None, 3, 4),
    preceding: int | None = 7,
) -> PReLUCall:
    return PReLUCall(layer, f"{layer}.weight", "PReLU", values, indices, shape, preceding)


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


def test_parameters_count_their_calls() -> None:
    turned = np.array([2, 0, 1]).reshape(1, 3, 1)
    found = parameters_of([_call("b", indices=turned), _call("a"), _call("b"), _call("b")])
    assert {key: (p.layer, p.name, p.n_calls) for key, p in found.items()} == {
        "b.weight": ("b", "b.weight", 3),
        "a.weight": ("a", "a.weight", 1),
    }
    assert isinstance(found["b.weight"], Parameter)
    assert found["b.weight"].values is VALUES
    assert np.array_equal(found["b.weight"].indices, turned)


@pytest.mark.parametrize(
    ("negative", "reached"),
    [([], [0, 0, 0]), ([(0, 1, 3)], [0, 1, 0]), ([(1, 0, 0), (0, 2, 3)], [1, 0, 1])],
)
def test_a_slope_is_reached_by_a_negative_input_of_its_own(
    negative: list[tuple[int, int, int]], reached: list[int]
) -> None:
    x = np.ones((2, 3, 4))
    x[0, 0, 0] = 0.0
    for place in negative:
        x[place] = -1e-30
    reach = Reach()
    note_reach(reach, [_call()], "act.weight", x)
    assert reach.masks["act"].tolist() == [bool(value) for value in reached]


def test_a_shared_slope_is_reached_anywhere() -> None:
    reach = Reach()
    x = np.ones((2, 3, 4))
    x[1, 2, 3] = -1
    note_reach(reach, [_call(values=VALUES[:1], indices=SHARED)], "act.weight", x)
    assert reach.masks["act"].tolist() == [True]


def test_what_was_reached_stays_reached() -> None:
    reach = Reach()
    first = np.array([[-1, 1, 1]]).reshape(1, 3, 1)
    for x in (first, -first, np.ones((1, 3, 1))):
        note_reach(reach, [_call()], "act.weight", x)
    assert reach.masks["act"].tolist() == [True, True, True]


def test_slopes_that_lie_in_another_order_are_noted_in_their_own() -> None:
    reach = Reach()
    turned = np.array([2, 0, 1]).reshape(1, 3, 1)
    note_reach(reach, [_call(indices=turned)], "act.weight", np.array([[[-1], [1], [1]]]))
    assert reach.masks["act"].tolist() == [False, False, True]


def test_a_call_of_another_rank_is_looked_up_by_its_rank() -> None:
    reach = Reach()
    calls = [_call(), _call(indices=np.arange(3).reshape(1, 3), shape=(None, 3))]
    note_reach(reach, calls, "act.weight", np.array([[1, -1, 1]]))
    assert reach.masks["act"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("parameter", "x"), [("other.weight", -np.ones((1, 3, 4))), ("act.weight", -np.ones(3))]
)
def test_an_unknown_call_reaches_nothing(parameter: str, x: Array) -> None:
    reach = Reach()
    note_reach(reach, [_call()], parameter, x)
    assert reach.masks == {}
