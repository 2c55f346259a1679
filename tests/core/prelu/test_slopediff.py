"""Slopes against slopes: equal bit for bit, or what differs, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from made_layers import SLOPES, channels, layer_of

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopediff import (
    SlopeDifference,
    compare_slopes,
    describe,
    in_type_of,
    owner_of,
)
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.results.reasons import VALUES_DIFFER, Reason, code_of

EQUAL = SlopeDifference(True)


def _words(left: Array, right: Array) -> str:
    found = compare_slopes(channels(left), channels(right))
    assert found == SlopeDifference(False, found.description)
    return found.description or ""


def test_equal_slopes_are_equal() -> None:
    assert compare_slopes(channels(SLOPES), channels(SLOPES.copy())) == EQUAL


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("off", "same"), [(2.2e-7, True), (2.6e-7, False)])
def test_slopes_of_a_form_that_rounds_are_the_same_up_to_that(
    off: float, same: bool, side: int
) -> None:
    slopes = SLOPES.copy()
    slopes[1] += np.float32(off)
    sides = [channels(SLOPES), channels(slopes)]
    assert not compare_slopes(*sides).same
    sides[side] = replace(sides[side], rounds=True)
    found = compare_slopes(*sides)
    assert (found.equal, found.rounded, found.same) == (False, same, same)
    assert found.n_equal == SLOPES.size - 1
    assert found.note == ("slopes equal up to the rounding of this form" if same else None)
    assert bool(found.description) is not same
    pair = [replace(each, slopes=each.slopes.reshape(-1)[1:2]) for each in sides]
    assert compare_slopes(*pair).rounded is same


def test_a_form_rounds_in_proportion_to_slopes_above_1() -> None:
    unit = np.float32(2.0**-20)  # of numbers from 8 to 16
    left = SLOPES + np.float32([0, 8, 0, 0])
    for units, same in ((1, True), (-1, True), (3, False)):
        right = left + np.float32([0, units, 0, 0]) * unit
        assert compare_slopes(channels(left), replace(channels(right), rounds=True)).same is same
    for off, same in ((2.0**-22, True), (2.0**-21, False)):
        right = SLOPES + np.float32([0, 0, 0, off])
        left = np.float32([0.25, -0.5, 1.5, 0.125])
        right = left + np.float32([off, 0, 0, 0])
        assert compare_slopes(channels(left), replace(channels(right), rounds=True)).same is same


@pytest.mark.parametrize(
    ("dtype", "off", "same"), [(ml_dtypes.bfloat16, 0.01, True), (ml_dtypes.bfloat16, 0.04, False),
                               (np.int32, 1, False)],
)  # fmt: skip
def test_each_type_rounds_as_it_does(dtype: type[Any], off: float, same: bool) -> None:
    slopes = np.array([0, 1, 0, 1], dtype)
    other = (slopes.astype(np.float64) + np.array([0, off, 0, 0])).astype(dtype)
    assert compare_slopes(channels(slopes), replace(channels(other), rounds=True)).same is same


def test_channels_may_be_at_another_axis_of_another_layout() -> None:
    last = layer_of(SLOPES.reshape(1, 1, 1, 4), (None, 5, 6, 4))
    assert compare_slopes(channels(SLOPES), last) == EQUAL
    assert compare_slopes(last, channels(SLOPES)) == EQUAL


def test_slopes_of_a_file_that_lost_its_shapes_lie_along_the_last_axes() -> None:
    slopes = np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2)
    last = layer_of(slopes, (None, 3, 4, 2))
    first = np.moveaxis(slopes, -1, 1)[0]
    assert compare_slopes(last, layer_of(first, None)) == EQUAL
    exchanged = compare_slopes(last, layer_of(first[::-1].copy(), None))
    assert (exchanged.equal, exchanged.ambiguous) == (False, False)
    assert compare_slopes(last, layer_of(slopes[0], None)) == EQUAL
    assert compare_slopes(channels(SLOPES), layer_of(SLOPES.reshape(4, 1, 1), None)) == EQUAL


@pytest.mark.parametrize("axis", [pytest.param(axis, id=f"along axis {axis}") for axis in (2, 3)])
def test_slopes_along_the_wrong_axis_are_not_equal(axis: int) -> None:
    shape = [1, 1, 1, 1]
    shape[axis] = 4
    square = replace(
        channels(SLOPES), input_shape=(None, 4, 7, 4) if axis == 3 else (None, 4, 4, 7)
    )
    assert not compare_slopes(square, replace(square, slopes=SLOPES.reshape(shape))).equal


def test_as_many_slopes_that_are_shared_otherwise_are_not_equal() -> None:
    wise = layer_of(SLOPES.reshape(1, 4, 1, 1), (None, 4, 2, 2))
    by_position = layer_of(SLOPES.reshape(1, 1, 2, 2), (None, 4, 2, 2))
    assert not compare_slopes(wise, by_position).equal


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        pytest.param(SLOPES, -SLOPES, "slopes negated", id="negated"),
        pytest.param(SLOPES, SLOPES[[0, 3, 2, 1]], "channels 1 and 3 swapped", id="exchanged"),
        pytest.param(
            SLOPES, SLOPES[[1, 2, 0, 3]], "slopes permuted (3 of 4 out of place)", id="permuted"
        ),
        pytest.param(
            SLOPES, SLOPES[::-1], "slopes permuted (4 of 4 out of place)", id="reversed"
        ),
        pytest.param(
            SLOPES, SLOPES.astype(np.float16),
            "slopes rounded as float16, expected float32", id="float16",
        ),
        pytest.param(
            SLOPES, (SLOPES + 1).astype(np.float16),
            "slopes stored with different values as float16, expected float32", id="other",
        ),
        pytest.param(
            SLOPES, SLOPES + np.array([0, 0.5, -2, 0], np.float32),
            "2 of 4 slopes differ, the largest difference at index 2: -0.5, expected 1.5",
            id="two differ",
        ),
        pytest.param(
            SLOPES, np.array([1, -0.5, 2, 0.1], np.float32),
            "2 of 4 slopes differ, the largest difference at index 0: 1, expected 0.25",
            id="the largest change",
        ),
        pytest.param(
            SLOPES, np.nextafter(SLOPES, np.array([9, -0.5, 1.5, 0.1], np.float32)),
            "1 of 4 slopes differ, the largest difference at index 0: 0.25000003, expected 0.25",
            id="the last place",
        ),
        pytest.param(
            SLOPES, np.array([0.25, np.nan, 9, 0.1], np.float32),
            "2 of 4 slopes differ, the largest difference at index 1: nan, expected -0.5",
            id="NaN is the worst",
        ),
        pytest.param(
            np.array([0.0, 1.0], np.float32), np.array([-0.0, 1.0], np.float32),
            "1 of 2 slopes differ, the largest difference at index 0: -0, expected 0",
            id="signed zero",
        ),
        pytest.param(
            SLOPES[:1], SLOPES[:1] + 1, "the only slope differs: 1.25, expected 0.25", id="only one"
        ),
        pytest.param(SLOPES, SLOPES[:3], "3 slopes, expected 4", id="fewer"),
        pytest.param(SLOPES[:1], SLOPES, "4 slopes, expected 1", id="more"),
    ],
)  # fmt: skip
def test_what_differs_in_words(left: Array, right: Array, words: str) -> None:
    assert _words(left, right) == words


def test_what_differs_has_a_code_and_a_number_of_equal_slopes() -> None:
    found = compare_slopes(channels(SLOPES), channels(SLOPES + np.float32([0, 0.5, 0, 0])))
    assert isinstance(found.description, Reason)
    assert (found.description.code, found.n_equal) == (VALUES_DIFFER, 3)
    only = compare_slopes(channels(SLOPES[:1]), channels(SLOPES[:1] + 1))
    assert code_of(only.description) == VALUES_DIFFER
    narrow = np.array([0, 1, 2, 3], np.float16)
    found = compare_slopes(channels(narrow.astype(np.float32) / 3), channels(narrow))
    assert (found.equal, found.n_equal) == (False, 0)
    assert compare_slopes(channels(SLOPES), channels(SLOPES)).n_equal == 0


def test_nan_at_the_same_place_is_equal() -> None:
    values = np.array([np.nan, 0.5], np.float32)
    assert compare_slopes(channels(values), channels(values.copy())) == EQUAL


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(((1, 3, 4, 5), (0, 3, 1, 2)), id="channels last to first"),
        pytest.param(((1, 5, 3, 4), (0, 2, 3, 1)), id="channels first to last"),
        pytest.param(((1, 3, 4, 5), (0, 1, 2, 3)), id="the same order"),
        pytest.param(((1, 7, 3), (0, 2, 1)), id="rank 3"),
    ],
)
def test_a_slope_for_each_position_is_moved(
    layout: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    shape, order = layout
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    moved = values.transpose(order)
    left = layer_of(values, (None, *shape[1:]))
    right = layer_of(moved, (None, *moved.shape[1:]))
    assert compare_slopes(left, right) == EQUAL
    one_off = moved.copy()
    one_off.flat[7] += 1
    found = compare_slopes(left, replace(right, slopes=one_off))
    assert not found.equal
    differ = f"1 of {values.size} slopes differ, the largest difference at index 7"
    assert differ in (found.description or "")


def test_thousands_are_separated() -> None:
    values = np.arange(2000, dtype=np.float32)
    found = describe(values, values + 1)
    assert found.startswith("2,000 of 2,000 slopes differ, the largest difference at index ")
    assert describe(values, np.roll(values, 1)) == "slopes permuted (2,000 of 2,000 out of place)"
    left, right = layer_of(values.reshape(1, 2000)), layer_of(values[:1500].reshape(1, 1500))
    assert compare_slopes(left, right).description == "1,500 slopes, expected 2,000"


def test_shapes_of_slopes_do_where_the_input_is_unknown() -> None:
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    assert compare_slopes(layer_of(values), layer_of(values.transpose(0, 3, 1, 2))) == EQUAL


@pytest.mark.parametrize("input_shape", [(None, 3), (None, 3, 4, 5, 6)])
def test_an_input_of_another_rank_than_the_slopes_tells_nothing(input_shape: Shape) -> None:
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    left, right = layer_of(values), layer_of(values.transpose(0, 3, 1, 2))
    for pair in [
        (replace(left, input_shape=input_shape), right),
        (left, replace(right, input_shape=input_shape)),
        (replace(left, input_shape=(None, 3, 4, 5)), replace(right, input_shape=input_shape)),
    ]:
        assert compare_slopes(*pair) == EQUAL


def test_a_slope_shared_along_the_channels_is_moved_by_the_shape_of_the_input() -> None:
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 1)).astype(np.float32)
    left = layer_of(values, (None, 3, 4, 5))
    right = layer_of(values.transpose(0, 3, 1, 2), (None, 5, 3, 4))
    assert compare_slopes(left, right) == EQUAL
    assert not compare_slopes(left, replace(right, slopes=right.slopes + 1)).equal


def test_an_order_that_does_not_fit_the_slopes_is_left_out() -> None:
    values = np.random.default_rng(0).normal(size=(1, 3, 3, 1)).astype(np.float32)
    layer = layer_of(values, (None, 3, 3, 3))
    assert compare_slopes(layer, layer) == EQUAL


CUBE = np.random.default_rng(0).normal(size=(1, 3, 3, 3)).astype(np.float32)


ORDERS = [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_cube_leaves_a_doubt_unless_its_order_is_known(order: tuple[int, ...]) -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    right = layer_of(CUBE.transpose(order), (None, 3, 3, 3))
    doubtful = compare_slopes(left, right)
    words = "the axis order cannot be told from the shapes"
    assert doubtful == SlopeDifference(False, words, ambiguous=True)
    assert compare_slopes(left, replace(right, axes=order)) == EQUAL
    assert compare_slopes(left, right, order) == EQUAL


@pytest.mark.parametrize("order", ORDERS[1:])
def test_an_order_that_is_given_and_wrong_is_found_out(order: tuple[int, ...]) -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    found = compare_slopes(left, left, order)
    assert (found.equal, found.ambiguous) == (False, False)
    assert "slopes permuted" in (found.description or "")


def test_axes_that_are_stated_and_wrong_decide_nothing() -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    wrong = replace(left, axes=(0, 3, 1, 2))
    assert compare_slopes(left, wrong).ambiguous
    assert compare_slopes(left, wrong, (0, 1, 2, 3)) == EQUAL
    assert not compare_slopes(left, wrong, (0, 2, 3, 1)).ambiguous


def test_axes_that_are_stated_and_right_outweigh_an_order_that_is_given() -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    assert compare_slopes(left, replace(left, axes=(0, 1, 2, 3)), (0, 3, 1, 2)) == EQUAL


@pytest.mark.parametrize("axes", [(0, 1), (3, 2, 1, 0)])
def test_axes_that_do_not_fit_are_ignored(axes: tuple[int, ...]) -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    assert compare_slopes(left, replace(left, axes=axes)).ambiguous
    assert compare_slopes(left, left, axes).ambiguous


def test_a_cube_that_fits_no_order_fails_without_doubt() -> None:
    left = layer_of(CUBE, (None, 3, 3, 3))
    found = compare_slopes(left, replace(left, slopes=CUBE + 1))
    assert (found.equal, found.ambiguous) == (False, False)


def test_a_cube_of_one_value_leaves_no_doubt() -> None:
    left = layer_of(np.full((1, 3, 3, 3), 0.5, np.float32), (None, 3, 3, 3))
    assert compare_slopes(left, left) == EQUAL


def test_as_many_slopes_of_no_fitting_shape() -> None:
    left = layer_of(np.ones((1, 3, 4), np.float32))
    found = compare_slopes(left, layer_of(np.ones((1, 2, 6), np.float32)))
    assert (found.equal, found.ambiguous) == (False, False)
    assert all(shape in (found.description or "") for shape in ("[1, 2, 6]", "[1, 3, 4]"))


def test_slopes_behind_a_flatten_are_compared_in_order() -> None:
    flat = layer_of(CUBE.reshape(1, 27))
    assert compare_slopes(layer_of(CUBE), flat) == EQUAL
    assert not compare_slopes(layer_of(CUBE), replace(flat, slopes=flat.slopes[:, ::-1])).equal


def test_axes_that_are_stated_and_sizes_that_are_not_known_decide_nothing() -> None:
    values, axes = SLOPES[:2], (0, 1, 2, 3)
    left = replace(layer_of(values.reshape(1, 2, 1, 1), (None, 2, 5, 6)), axes=axes)
    right = replace(layer_of(values.reshape(1, 1, 1, 2), (None,) * 4), axes=axes)
    assert compare_slopes(left, right) == EQUAL


def test_slopes_of_a_file_without_shapes_lie_along_its_last_axes() -> None:
    """Onnxruntime's own operators have no shapes: nothing says that the input has four axes."""
    values = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype(np.float32)
    moved = np.ascontiguousarray(values[0].transpose(2, 0, 1))
    assert compare_slopes(layer_of(values), layer_of(moved)) == EQUAL
    assert compare_slopes(layer_of(moved), layer_of(values)) == EQUAL
    for wrong in (moved.swapaxes(1, 2), moved[::-1], moved + np.float32(1e-7)):
        assert not compare_slopes(layer_of(values), layer_of(np.ascontiguousarray(wrong))).equal


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("channels", [1, 4])
def test_a_transposition_and_one_slope_for_all_are_said_in_words(channels: int, size: int) -> None:
    values = np.random.default_rng(0).normal(size=(1, channels, size, size)).astype(np.float32)
    left = layer_of(values, (None, 4, size, size))
    turned = replace(left, slopes=np.ascontiguousarray(values.swapaxes(2, 3)))
    words = "slopes transposed (axes 2 and 3)"
    assert compare_slopes(left, turned) == SlopeDifference(False, words)
    shared = replace(left, slopes=values[:, :1, :1, :1])
    words = f"one slope shared by all, expected {values.size}"
    assert compare_slopes(left, shared) == SlopeDifference(False, words)


def test_inputs_of_other_sizes_leave_it_to_the_shapes_of_the_slopes() -> None:
    small = layer_of(SLOPES.reshape(1, 4, 1, 1), (None, 4, 5, 6))
    assert compare_slopes(small, replace(small, input_shape=(None, 4, 50, 60))) == EQUAL


@pytest.mark.parametrize(
    ("input_shape", "found"),
    [
        pytest.param(
            (None, 4, 4, 4),
            SlopeDifference(
                False,
                "slopes are laid out as [1, 4, 1, 1], expected [1, 1, 1, 4]",
                moved=True,
            ),
            id="where they could lie as stated",
        ),
        pytest.param((None, 4, 4, 5), EQUAL, id="where they could not"),
        pytest.param(None, EQUAL, id="where the input is unknown"),
        pytest.param((None, 4), EQUAL, id="where the input has fewer axes"),
        pytest.param((None, 4, 4, 4, 4), EQUAL, id="where the input has more axes"),
    ],
)
def test_slopes_that_lie_otherwise_than_stated(
    input_shape: Shape | None, found: SlopeDifference
) -> None:
    left = layer_of(SLOPES.reshape(1, 4, 1, 1), (None, 4, 4, 4))
    right = replace(left, input_shape=input_shape, axes=(0, 2, 3, 1))
    assert compare_slopes(left, right) == found
    assert owner_of(right, [left]) == "act"


def test_one_slope_for_all_lies_as_it_will() -> None:
    left = layer_of(SLOPES[:1].reshape(1, 1, 1, 1), (None, 3, 4, 5))
    assert compare_slopes(left, replace(left, axes=(0, 3, 1, 2))) == EQUAL


def test_a_narrower_type_is_compared_with_the_nearest_slopes() -> None:
    wide = channels(np.array([0.1, 1e6, 1e-9], np.float32))
    with np.errstate(all="raise"):
        found = in_type_of(wide, channels(np.ones(3, np.float16), "other"))
    assert found.slopes.dtype == np.float16
    assert found.slopes.reshape(-1).tolist() == [np.float16(0.1), np.inf, 0]
    assert not found.slopes.flags.writeable
    assert vars(found) | {"slopes": None} == vars(wide) | {"slopes": None}


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("float32", "float32"), ("float32", "float64"), ("float64", "float32"),
        ("float16", "float16"), ("float16", "float32"), ("int32", "float16"),
    ],
)  # fmt: skip
def test_any_other_type_leaves_the_reference_as_it_is(own: str, other: str) -> None:
    mine = channels(np.ones(3, own))
    assert in_type_of(mine, channels(np.ones(3, other))) is mine


def test_axes_that_both_state_are_no_way_from_one_to_the_other() -> None:
    slopes = np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1)
    export = replace(layer_of(slopes, (None, 3, 3, 5)), axes=(0, 3, 1, 2))
    assert compare_slopes(export, export).equal
    unstated = replace(export, axes=None)
    assert not compare_slopes(unstated, export).equal  # here they are the way from the reference


# One slope, and as many equal ones


QUARTERS = np.full(4, 0.25, np.float32)
BY_CHANNEL = SLOPES.reshape(1, 4, 1, 1)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(QUARTERS[:1].reshape(1, 1, 1, 1), QUARTERS.reshape(1, 4, 1, 1), id="expanded"),
        pytest.param(QUARTERS[:1], QUARTERS.reshape(1, 4, 1, 1), id="of another rank"),
        pytest.param(BY_CHANNEL, np.broadcast_to(BY_CHANNEL, (1, 4, 2, 2)), id="each position"),
        pytest.param(BY_CHANNEL, np.broadcast_to(SLOPES, (1, 2, 2, 4)), id="in another order"),
    ],
)
def test_repeated_slopes_are_the_same_function(left: Array, right: Array) -> None:
    for mine, other in ((left, right), (right, left)):
        found = compare_slopes(layer_of(mine, None), layer_of(other, None))
        assert (found.equal, found.ambiguous, found.description) == (True, False, None)
        assert f"; the reference has {mine.size}, all equal" in (found.note or "")


def test_repeated_slopes_have_to_be_equal_in_every_bit() -> None:
    one = layer_of(np.full((1, 1, 1, 1), 0.25, np.float32), None)
    for value in (0.26, np.nextafter(np.float32(0.25), np.float32(1))):
        many = np.full((1, 4, 1, 1), 0.25, np.float32)
        many[0, 3] = value
        assert not compare_slopes(one, layer_of(many, None)).equal
        assert not compare_slopes(layer_of(many, None), one).equal
    narrow = layer_of(np.full((1, 4, 1, 1), 0.25, np.float16), None)
    assert not compare_slopes(one, narrow).equal


@pytest.mark.parametrize("changed", [False, True])
def test_slopes_that_fit_the_input_nowhere_say_whether_they_are_the_same_ones(
    changed: bool,
) -> None:
    left = layer_of(SLOPES.reshape(1, 4, 1, 1), (None, 4, 5, 6))
    values = SLOPES[::-1].reshape(1, 2, 2, 1).copy()
    values[0, 0, 0, 0] += changed
    found = compare_slopes(left, layer_of(values, (None, 2, 2, 6)))
    assert (found.equal, found.moved) == (False, not changed)
    assert found.description is not None
    assert found.description.startswith("slopes are laid out as [1, 2, 2, 1], expected ")


def test_more_slopes_of_another_rank_are_others() -> None:
    left = layer_of(SLOPES.reshape(1, 4, 1, 1), None)
    right = layer_of(np.repeat(SLOPES, 2).reshape(1, 8), None)
    assert not compare_slopes(left, right).equal
    assert not compare_slopes(right, left).equal
