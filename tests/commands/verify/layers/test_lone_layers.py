"""A layer of a candidate by itself: how its axes lie, and how far it is off."""

from __future__ import annotations

import math

import numpy as np
import pytest
from judge_rig import X, Y, bare, flat

from prelu_tools.commands.verify.layers.isolated import (
    apart,
    axis_orders,
    effective_slopes,
    is_off,
    is_prelu_of,
    own_ulps,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopes import PReLULayer

ONE, TWO = AxisAlignment.usual(1), AxisAlignment.usual(2)


HUGE = 2**62


# How the axes lie

SAME, LAST, FIRST = (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)


def _shaped(*shape: int, axes: tuple[int, ...] | None = None) -> PReLULayer:
    return bare("a", np.zeros(shape, np.float32), axes=axes)


@pytest.mark.parametrize(
    ("mine", "other", "shape", "expected", "orders"),
    [
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5), [SAME],
                     id="the same shape"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 1, 1, 3), (2, 4, 5, 3), (2, 3, 4, 5), [LAST],
                     id="channels last"),
        pytest.param(_shaped(1, 1, 1, 3), _shaped(1, 3, 1, 1), (2, 3, 4, 5), (2, 4, 5, 3), [FIRST],
                     id="channels first"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 1, 1, 3), (2, 4, 5, 3), None, [LAST],
                     id="by the slopes"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 1, 3, 1), (2, 4, 5, 3), None, [LAST],
                     id="slopes that lie as nobody expects"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 3, 1, 1), (2, 3, 3, 3), (2, 3, 3, 3), [SAME],
                     id="a cube, alike"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 1, 3, 1), (2, 3, 3, 3), (2, 3, 3, 3), [FIRST],
                     id="a cube, alike in another order"),
        pytest.param(_shaped(1, 3, 3, 3), _shaped(1, 3, 3, 3), (2, 3, 3, 3), (2, 3, 3, 3),
                     [SAME, FIRST, LAST], id="a cube of slopes leaves all"),
        pytest.param(_shaped(1, 3, 3, 3), _shaped(1, 3, 3, 3, axes=FIRST), (2, 3, 3, 3), None,
                     [FIRST], id="what the node says"),
        pytest.param(_shaped(1, 3, 3, 3), _shaped(1, 3, 3, 3, axes=(3, 2, 1, 0)), (2, 3, 3, 3),
                     None, [SAME, FIRST, LAST], id="what cannot be meant"),
        pytest.param(_shaped(1, 1, 1, 1), _shaped(1, 1, 1, 1), (2, 4, 5, 3), (2, 3, 4, 5), [LAST],
                     id="one slope, by the inputs"),
        pytest.param(_shaped(1, 7, 1, 1), _shaped(1, 7, 1, 1), (2, 4, 5, 3), None, [SAME],
                     id="slopes that fit nowhere"),
        pytest.param(_shaped(1, 3, 1, 1), _shaped(1, 3), (2, 3), None, [(0, 1)],
                     id="slopes of more axes"),
        pytest.param(_shaped(1, 3), _shaped(1, 3, 1, 1), (2, 4, 5, 3), (2, 3, 4, 5), [LAST],
                     id="slopes of fewer axes"),
        pytest.param(_shaped(1, 3), _shaped(1, 3), (2, 3), (7, 3), [(0, 1)],
                     id="other sizes altogether"),
    ],
)  # fmt: skip
def test_how_axes_may_lie(
    mine: PReLULayer,
    other: PReLULayer,
    shape: tuple[int, ...],
    expected: tuple[int, ...] | None,
    orders: list[tuple[int, ...]],
) -> None:
    assert list(axis_orders(mine, other, shape, expected)) == orders


# By itself


@pytest.mark.parametrize(("apart", "off"), [(None, False), (0, False), (4, False), (5, True)])
def test_how_far_off_is_off(apart: int | None, off: bool) -> None:
    assert is_off(apart) is off


@pytest.mark.parametrize(
    ("x", "y", "apart"),
    [
        ([-1, 1], [-0.25, 1], 0),
        ([-1, 1], [-0.25 - 3 * 2.0**-25, 1], 3),
        ([-1, 1], [-0.25, 1 + 2.0**-23], 1),
        ([0, -0.0], [0, 0], 0),
        ([-1, math.inf], [-0.25, math.inf], 0),
        ([-1, math.nan], [-0.25, math.nan], 0),
        ([-1, 1], [-0.25, math.inf], HUGE),
        ([-1, 1], [-0.25, math.nan], HUGE),
        ([-1, math.inf], [-0.25, math.nan], HUGE),
        ([-1, math.inf], [-0.25, 3e38], HUGE),
        ([-1, math.nan], [-0.25, 0], HUGE),
    ],
)
def test_units_by_which_a_layer_is_off(x: list[float], y: list[float], apart: int) -> None:
    layer = bare("a", np.full((1,), 0.25, np.float32))
    with np.errstate(all="raise"):
        assert own_ulps(layer, ONE, np.array(x, np.float32), np.array(y, np.float32)) == apart


def test_results_beyond_all_numbers_raise_nothing() -> None:
    layer = bare("a", np.array([3e38, 1e-30, 0.0], np.float32))
    x = np.array([-3e38, -1e-30, -np.inf], np.float32)
    y = np.array([-np.inf, 0.0, np.nan], np.float32)
    with np.errstate(all="raise"):
        assert own_ulps(layer, ONE, x, y) == 0


def test_at_0_it_is_slope_times_0() -> None:
    layer = bare("a", np.array([np.inf], np.float32))
    assert own_ulps(layer, ONE, np.zeros(1, np.float32), np.full(1, np.nan, np.float32)) == 0


def test_the_units_are_those_of_what_the_layer_gives() -> None:
    layer = bare("a", np.full((1,), 0.25, np.float32))
    x = np.array([-1], np.float32)
    assert own_ulps(layer, ONE, x, np.array([-0.25 - 2.0**-12], np.float16)) == 1
    assert own_ulps(layer, ONE, x, np.array([-0.25 - 2.0**-12], np.float32)) == 2**13


def test_slopes_are_taken_in_the_type_of_the_input() -> None:
    layer = bare("a", np.full((1,), 0.1, np.float64))
    x = np.array([-1], np.float32)
    assert own_ulps(layer, ONE, x, x * np.float32(0.1)) == 0
    half = np.array([-3], np.float16)
    assert own_ulps(layer, ONE, half, half * np.float16(0.1)) == 0


def test_the_best_order_counts() -> None:
    slopes = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    layer, x = bare("a", slopes), -np.ones((1, 3, 3, 3), np.float32)
    y = -slopes.transpose(LAST)
    assert own_ulps(layer, AxisAlignment([SAME, LAST, FIRST]), x, y) == 0
    assert is_off(own_ulps(layer, AxisAlignment([SAME, FIRST]), x, y))
    assert own_ulps(layer, AxisAlignment([]), x, y) is None


@pytest.mark.parametrize(
    ("slopes", "x"),
    [
        pytest.param(np.ones((1, 3)), np.ones((2, 4)), id="other sizes"),
        pytest.param(np.ones((1, 3, 4)), np.ones((2, 12)), id="other axes"),
        pytest.param(np.ones((1, 2)), np.ones(2), id="no axis for the batch"),
    ],
)
def test_slopes_that_cannot_be_laid_tell_nothing(slopes: Array, x: Array) -> None:
    order = tuple(range(slopes.ndim))
    assert own_ulps(bare("a", slopes), AxisAlignment([order]), x, x) is None


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
def test_one_slope_lies_on_everything(shape: tuple[int, ...]) -> None:
    layer = bare("a", np.full(shape, 0.5, np.float32))
    x = np.array([[-2, 2]], np.float32)
    assert own_ulps(layer, TWO, x, np.array([[-1, 2]], np.float32)) == 0
    assert own_ulps(layer, TWO, x, np.array([[-2, 2]], np.float32)) == 2**22


def test_an_output_of_another_shape_is_as_far_off_as_can_be() -> None:
    assert own_ulps(flat(), TWO, X, Y[:1]) == HUGE


# Slopes that are not numbers, and numbers that are integers


def _multiplied(x: Array, slopes: Array) -> Array:
    """As a kernel computes it: max(x, 0) + slope * min(x, 0), which is NaN for x > 0 too."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(x, 0) + slopes * np.minimum(x, 0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_slope_that_is_not_finite_decides_where_an_input_is_negative(value: float) -> None:
    slopes = np.array([[value, 0.5]], np.float32)
    x = np.array([[-2, -2], [3, 3], [0, 0]], np.float32)
    layer = bare("a", slopes)
    with np.errstate(invalid="ignore"):
        by_definition = np.where(x > 0, x, slopes * x)
    for y in (by_definition, _multiplied(x, slopes)):
        assert own_ulps(layer, TWO, x, y) == 0
    wrong = by_definition.copy()
    wrong[0, 0] = 7
    assert own_ulps(layer, TWO, x, wrong) == HUGE
    wrong = by_definition.copy()
    wrong[1, 1] = 4
    assert is_off(own_ulps(layer, TWO, x, wrong))


def test_infinities_of_another_sign_are_not_the_same() -> None:
    x = np.array([[-1e38, 1]], np.float32)
    layer = bare("a", np.array([[10, 10]], np.float32))
    assert own_ulps(layer, TWO, x, np.array([[-np.inf, 1]], np.float32)) == 0
    assert own_ulps(layer, TWO, x, np.array([[np.inf, 1]], np.float32)) == HUGE


def test_integers_are_equal_or_not() -> None:
    layer = bare("a", np.array([[2, -3]], np.int32))
    x = np.array([[-5, -7], [5, 7]], np.int32)
    assert own_ulps(layer, TWO, x, np.array([[-10, 21], [5, 7]], np.int32)) == 0
    assert own_ulps(layer, TWO, x, np.array([[-10, 22], [5, 7]], np.int32)) == HUGE


# What a layer computes, by its values

EPS = 2.0**-23


def _array(*values: float) -> Array:
    return np.array([values], np.float32)


@pytest.mark.parametrize(("rounds", "ulps_apart"), [(None, 6), (False, 6), (True, 2)])
def test_units_are_those_of_the_output_unless_parts_of_the_input_cancel(
    rounds: bool | None, ulps_apart: int
) -> None:
    y = _array(-0.25) - 6 * np.spacing(np.float32(0.25))
    given = {} if rounds is None else {"rounds": rounds}
    assert apart(_array(0.25), _array(-1.0), y, **given) == ulps_apart


@pytest.mark.parametrize(
    ("slope", "x", "y", "is_it"),
    [
        (0.5, [-1000.0, 2.0], [-500.0, 2.0], True),
        (0.5, [-1000.0], [-500 + 7000 * EPS], True),
        (0.5, [-1000.0], [-500 + 9000 * EPS], False),
        (4.0, [-1.0], [-4 + 28 * EPS], True),
        (4.0, [-1.0], [-4 + 36 * EPS], False),
        (0.5, [1000.0], [1000 + 7000 * EPS], True),
        (0.5, [1000.0], [1000 + 9000 * EPS], False),
        (0.5, [0.0], [0.0], True),
        (0.5, [0.0], [1.1e-38], True),
        (0.5, [0.0], [2.0**-126], True),
        (0.5, [0.0], [1.3e-38], False),
        (0.5, [-1.0, -1.0], [-0.5, -0.6], False),
        (math.inf, [0.0], [0.0], False),
        (0.0, [-math.inf], [0.0], False),
        (0.5, [math.nan], [math.nan], False),
        (1e38, [-1e38], [-3e38], False),
        (1e-38, [-1e-38], [0.0], True),
    ],
)
def test_whether_an_output_is_prelu_of_an_input(
    slope: float, x: list[float], y: list[float], is_it: bool
) -> None:
    given = _array(slope), _array(*x), _array(*y)
    with np.errstate(all="raise"):
        assert is_prelu_of(*given) is is_it
    assert is_prelu_of(_array(1.0, 2.0), _array(1.0, 2.0, 3.0), _array(1.0, 2.0, 3.0)) is False


def test_a_coarser_type_of_either_side_has_more_room() -> None:
    x, y = _array(-1.0), _array(-0.5 + 2.0**-9)
    assert not is_prelu_of(_array(0.5), x, y)
    assert is_prelu_of(_array(0.5), x.astype(np.float16), y)
    assert is_prelu_of(_array(0.5), x, y.astype(np.float16))


def test_slopes_are_shown_by_the_most_negative_inputs() -> None:
    x = np.array([[-1, -4, 2, 0], [-2, -1, 3, 0], [5, -4, 1, -1e30]], np.float32)
    y = np.array([[9, -2, 9, 9], [-1, 9, 9, 9], [9, -4, 9, -1e38]], np.float32)
    with np.errstate(all="raise"):
        found = effective_slopes(np.ones((1, 4), np.float32), x, y)
        shared = effective_slopes(np.ones((1, 1), np.float32), x, y)
    assert (found.shape, shared.shape) == ((1, 4), (1, 1))
    assert found[0, :2].tolist() == [0.5, 0.75]
    assert math.isnan(found[0, 2])
    assert found[0, 3] == shared[0, 0] == pytest.approx(1e8)


def test_slopes_are_shown_along_their_own_axis() -> None:
    x = -np.array([[[1, 2], [8, 7]], [[4, 3], [5, 6]]], np.float32)
    y = np.array([[[9, 9], [-4, 9]], [[-1, 9], [9, 9]]], np.float32)
    found = effective_slopes(np.ones((1, 2, 1), np.float32), x, y)
    assert found.tolist() == [[[0.25], [0.5]]]


@pytest.mark.parametrize("slope", [math.inf, math.nan])
def test_what_a_slope_without_end_makes_of_inputs_from_0_on_is_not_looked_at(slope: float) -> None:
    for x in (0.0, 0.5, 2.0):
        assert apart(_array(slope), _array(x), _array(math.nan)) == 0
        assert apart(_array(slope), _array(x), _array(x)) == 0
    assert apart(_array(slope), _array(-0.5), _array(1.0)) == HUGE
