"""The axis orders that two shapes, slopes and values leave open."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from prelu_tools.core.prelu.alignment import AxisAlignment

SAME, FIRST, LAST = (0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)
OPEN = AxisAlignment.usual(4)
CUBE = np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3)


def test_the_usual_orders_come_with_the_likeliest_first() -> None:
    assert OPEN == (SAME, FIRST, LAST)
    assert AxisAlignment.usual(3) == ((0, 1, 2), (0, 2, 1))
    assert (AxisAlignment.usual(2), AxisAlignment.usual(0)) == (((0, 1),), ((),))


def test_every_order_is_found_that_takes_a_shape_to_another() -> None:
    for order in itertools.permutations(range(3)):
        target = tuple((4, 5, 6)[axis] for axis in order)
        assert AxisAlignment.every((4, 5, 6), target) == (order,)
    assert len(AxisAlignment.every((5, 5, 5), (5, 5, 5))) == 6
    assert AxisAlignment.every((4, 5), (4, 5, 1)) == ()


def test_inside_a_model_any_order_may_take_one_shape_to_another_where_no_usual_one_does() -> None:
    assert AxisAlignment.inside((2, 3, 5, 6), (2, 5, 6, 3)) == (LAST,)
    assert AxisAlignment.inside((2, 3, 5, 6), (2, 3, 6, 5)) == ((0, 1, 3, 2),)
    assert AxisAlignment.inside((3, 3, 5, 6), (3, 6, 5, 3)) == ((0, 3, 2, 1),)
    assert AxisAlignment.inside((2, 3, 5, 6), (3, 2, 5, 6)) == ()
    assert AxisAlignment.between((2, 3, 5, 6), (2, 3, 6, 5)) == ()


def test_orders_of_another_rank_take_and_lay_nothing() -> None:
    assert OPEN.taking((2, 3), (2, 3)) == OPEN.taking((2, 3), (2, 3, 1)) == ()
    assert OPEN.laying((1, 3), (2, 3)) == OPEN.laying((1, 3), (2, 3, 1, 1)) == ()
    assert OPEN.equating(CUBE[0], CUBE[0]) == ()


def test_slopes_lie_where_they_broadcast() -> None:
    assert OPEN.laying((1, 3, 1, 1), (2, 3, 8, 9)) == (SAME,)
    assert OPEN.laying((1, 3, 1, 1), (2, 8, 9, 3)) == (LAST,)
    assert OPEN.laying((1, 3, 1, 1), (2, 8, 9, 5)) == ()
    assert OPEN.laying((1, 1, 1, 1), (2, 8, 9, 5)) == OPEN


def test_equal_arrays_show_their_order() -> None:
    assert OPEN.equating(CUBE, CUBE.transpose(LAST)) == (LAST,)
    assert OPEN.equating(CUBE, CUBE + 1) == ()
    assert OPEN.equating(np.zeros((2, 3, 3, 3)), np.zeros((2, 3, 3, 3))) == OPEN


def test_what_is_stated_counts_where_it_is_possible() -> None:
    assert OPEN.only(LAST) == (LAST,)
    assert OPEN.only(None) == OPEN.only((3, 2, 1, 0)) == OPEN
    assert (OPEN.stated(LAST, FIRST), OPEN.stated(None, FIRST)) == (LAST, FIRST)
    assert (OPEN.stated(None, (3, 2, 1, 0)), AxisAlignment().stated(SAME)) == (SAME, None)


@pytest.mark.parametrize("order", OPEN)
def test_values_decide_where_shapes_do_not(order: tuple[int, ...]) -> None:
    found = OPEN.nearest(CUBE, CUBE.transpose(order) + np.float32(0.125))
    assert found is not None
    np.testing.assert_array_equal(found, CUBE + np.float32(0.125))


def test_two_orders_are_told_apart_by_values_and_one_alone_is_taken() -> None:
    square, wide = np.arange(18.0).reshape(2, 3, 3), np.arange(24.0).reshape(2, 3, 4)
    for expected in (square, wide):
        found = AxisAlignment.usual(3).nearest(expected, expected.transpose(0, 2, 1) + 0.125)
        np.testing.assert_array_equal(np.asarray(found), expected + 0.125)


def test_what_has_another_shape_is_near_nothing() -> None:
    assert OPEN.nearest(CUBE, np.zeros((2, 3, 3, 4), np.float32)) is None
    assert AxisAlignment().nearest(CUBE, CUBE) is None


@pytest.mark.filterwarnings("error")
def test_infinities_decide_last() -> None:
    same = np.zeros((1, 2, 2, 2), np.float32)
    same[0, 0, 1, 1] = np.inf
    found = OPEN.nearest(same, same.transpose(LAST))
    np.testing.assert_array_equal(np.asarray(found), same)
    broken = CUBE.copy()
    broken[0, 0, 0, 1] = np.inf
    assert OPEN.distances(CUBE, broken.transpose(LAST))[LAST] == (0.0, 1)
    np.testing.assert_array_equal(np.asarray(OPEN.nearest(CUBE, broken.transpose(LAST))), broken)
    largest = np.full((1, 1, 1, 1), np.finfo(np.float64).max)
    assert OPEN.distances(largest, -largest) == dict.fromkeys(OPEN, (0.0, 1))
