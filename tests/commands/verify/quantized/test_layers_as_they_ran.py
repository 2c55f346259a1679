"""What is seen of the layers of a quantized candidate as they run, and by how much they are off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from quantized_layer_rig import BEHIND, SLOPES, Rig, X, Y, codes_of

from prelu_tools.core.arrays import Array
from prelu_tools.graph.quantized.codes import Codes

pytestmark = pytest.mark.filterwarnings("error")
ROOM = 0.55  # of a step
FLOAT = 4 * 2.0**-23  # of a value
AT_END = {"p": codes_of(0.5, 128)}
INSIDE = {"i": codes_of(0.25, 128)}


@pytest.mark.parametrize(
    ("codes", "off", "step", "allowed"),
    [
        pytest.param({}, 2.0**-20, 0.0, FLOAT * 4, id="floating point"),
        pytest.param(BEHIND, 0.1, 0.0, ROOM * 0.5 + FLOAT * 4, id="rounded behind it"),
        pytest.param(AT_END, 0.1, 0.0, 2 * ROOM * 0.5 + FLOAT * 4, id="rounded at its end"),
        pytest.param(INSIDE, 0.1, 0.0, ROOM * 0.25 + FLOAT * 4, id="rounded inside of it"),
        pytest.param(INSIDE | BEHIND, 0.1, 0.0, ROOM * 0.75 + FLOAT * 4, id="rounded twice"),
        pytest.param({}, 0.1, 0.125, ROOM * 0.125 * 4 + FLOAT * 4, id="its slopes rounded"),
        pytest.param(BEHIND, 0.1, 0.125, ROOM * (0.5 + 0.125 * 4) + FLOAT * 4, id="both"),
    ],
)
def test_a_layer_may_be_off_by_what_rounding_does(
    codes: dict[str, Codes], off: float, step: float, allowed: float
) -> None:
    for sign in (1, -1):
        y = Y.astype(np.float64)
        y[0, 0] += sign * off
        seen = Rig(codes, step=step).observe(X, y)
        assert seen.off == pytest.approx(off / allowed, rel=1e-5)
        assert (seen.n_calls, seen.lost, seen.n_negative) == (1, None, 3)
    assert Rig(codes, step=step).observe(X, Y).off == 0.0
    assert Rig(codes, step=step).observe(X * 0, Y * 0).off == 0.0


def test_positive_values_have_no_room_for_slopes() -> None:
    y = Y.astype(np.float64)
    y[1, 0] += 2.0**-20
    assert Rig(step=0.125).observe(X, y).off == pytest.approx(2.0**-20 / FLOAT)
    half = X / 2
    y = Y / 2.0
    y[1, 0] += 2.0**-20
    assert Rig(step=0.125).observe(half, y).off == pytest.approx(2.0**-20 / (FLOAT / 2))


def test_steep_slopes_leave_more_room() -> None:
    steep = np.array([[2.0, -4.0, 0.5]], np.float32)
    y = np.where(X > 0, X, steep.astype(np.float64) * X)
    y[0, 0] += 0.1
    seen = Rig(INSIDE, steep).observe(X, y)
    assert seen.off == pytest.approx(0.1 / (4 * ROOM * 0.25 + 4 * FLOAT * 4), rel=1e-5)
    assert Rig(BEHIND, steep).observe(X, y).off == pytest.approx(
        0.1 / (ROOM * 0.5 + 4 * FLOAT * 4), rel=1e-5
    )


def test_what_is_no_number_is_off_beyond_all() -> None:
    y = Y.copy()
    y[0, 0] = np.nan
    assert Rig(BEHIND).observe(X, y).off > 1e300


def test_ranges_cut_off_what_is_beyond_them() -> None:
    short = {"p": codes_of(0.5, 128)}
    x = np.array([[-4.0, 200.0, -2.0]], np.float32)
    y = np.where(x > 0, np.minimum(x, 63.5), SLOPES * x)
    assert Rig(short).observe(x, y).off == 0.0
    behind = Rig({"r": codes_of(0.5, 128)})
    assert behind.observe(x, y).off == pytest.approx(
        136.5 / (136.5 + ROOM * 0.5 + FLOAT * 200), rel=1e-6
    )


def test_the_worst_of_all_runs_counts_and_the_reference_of_each_is_asked() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y))
    assert rig.observe(X, Y + np.float32(0.11)).off == pytest.approx(0.4, rel=0.01)
    assert rig.observe(X, Y, run=1).off == pytest.approx(0.4, rel=0.01)
    seen = rig.observe(X, Y - np.float32(0.22), run=2)
    assert seen.off == pytest.approx(0.8, rel=0.01)
    assert (seen.n_calls, seen.n_negative) == (3, 9)
    assert rig.asked == [(0, "act", 0), (1, "act", 0), (2, "act", 0)]
    assert seen.end_to_end.deviation.max_abs == pytest.approx(0.22, rel=1e-3)


def test_each_call_is_compared_with_its_own() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y), calls=2)
    assert rig.observe(X, Y).n_calls == 2
    assert rig.asked == [(0, "act", 0), (0, "act", 1)]


def test_without_the_reference_nothing_is_measured_from_end_to_end() -> None:
    assert np.isnan(Rig().observe(X, Y).end_to_end.deviation.max_abs)


def test_tensors_that_a_run_lacks_are_passed_over() -> None:
    rig = Rig()
    for given in ({"a": X}, {"p": Y}, {}):
        rig.layers.observe(0, given)
    assert rig.layers._seen["act"].n_calls == 0


@pytest.mark.parametrize(
    ("y", "slopes", "words"),
    [
        (Y[:1], SLOPES, "gives [1, 3] for an input of [2, 3]"),
        (Y, np.float32([[1, 2, 3, 4]]), "its slopes do not broadcast to an input of [2, 3]"),
    ],
)
def test_shapes_that_do_not_fit_are_said(y: Array, slopes: Array, words: str) -> None:
    rig = Rig(slopes=slopes)
    seen = rig.observe(X, y)
    assert (seen.lost, seen.n_calls) == (words, 0)
    found = rig.parity()
    assert (found.verdict, found.n_by_behaviour) == ("fail", 0)
    assert str(found.difference) == f"act: {words}"


def test_slopes_of_another_rank_are_lost() -> None:
    rig = Rig(slopes=np.zeros((1, 2, 3, 4), np.float32))
    assert rig.observe(X, Y).lost == "gives [2, 3] for an input of [2, 3]"


def test_codes_are_read_as_numbers() -> None:
    codes = {"a": codes_of(0.5, 100), "r": codes_of(0.25, 128)}
    stored = np.array([[92, 116, 96]], np.uint8)
    x = (stored.astype(np.float32) - 100) / 2
    assert Rig(codes).observe(stored, np.where(x > 0, x, SLOPES * x)).off == 0.0
    end = {"p": codes_of(0.5, 100)}
    y = np.array([[98, 116, 99]], np.uint8)  # -1, 8, -0.5
    assert Rig(end).observe(np.float32([[-4, 8, -4]]), y).off == 0.0


@pytest.mark.parametrize(
    ("codes", "x", "y", "cut"),
    [
        pytest.param({"a": codes_of(0.5, 2)}, [-1, -0.75, -0.7, -0.5, 3], None, 2,
                     id="half a step from the end of its input"),
        pytest.param({"e": codes_of(0.5, 2)}, [-1, -0.8, -0.7, -0.5, 3], None, 2,
                     id="of what its input was copied from"),
        pytest.param({"a": codes_of([0.5] * 5, [2] * 5)}, [-1, -0.8, -0.7, -0.5, 3], None, 0,
                     id="but for several scales"),
        pytest.param({"r": codes_of(0.5, 2)}, [-9, -9, -9, -9, 3], [-1, -1.1, -0.9, 0, 126.5], 2,
                     id="at the lower end behind it"),
        pytest.param({"r": codes_of(0.5, 2)}, [-9, -9, -9, -9, 3], [126.5, 127, 126, 0, 127], 2,
                     id="at the upper end behind it"),
        pytest.param({"r": codes_of([0.5] * 5, [2] * 5)}, [-9, -9, -9, -9, 3], [-1] * 5, 0,
                     id="but for several scales behind it"),
        pytest.param({}, [-9, -9, -9, -9, 3], [-1] * 5, 0, id="nothing in floating point"),
    ],
)  # fmt: skip
def test_negative_values_at_the_end_of_a_range_are_counted(
    codes: dict[str, Codes], x: Any, y: Any, cut: int
) -> None:
    values = np.float32([x])
    rig = Rig(codes, np.full((1, 5), 0.5, np.float32))
    seen = rig.observe(values, values if y is None else np.float32([y]))
    assert (seen.n_cut, seen.n_negative) == (cut, 4)


@pytest.mark.parametrize(
    ("inside", "codes", "off", "n_cut"),
    [
        pytest.param(np.uint8([[0, 7, 255]]), codes_of(0.5, 9), 0.0, 2, id="both ends"),
        pytest.param(np.uint8([[0, 7, 255]]), codes_of(0.5, 0), 1.0, 1, id="0 is no end"),
        pytest.param(np.uint8([[0, 7, 255]]), codes_of(0.5, 255), 1.0, 1, id="nor is it there"),
        pytest.param(np.uint8([[0, 255, 7]]), codes_of(0.5, 9), 1.0, 1, id="one negative"),
        pytest.param(np.uint8([[0, 7, 9]]), codes_of([0.5, 1, 2], [9, 9, 9]), 1.0, 0, id="several"),
        pytest.param(np.uint8([[0, 7, 0]]), codes_of([0.5, 1], [9, 9]), 1.0, 0, id="two"),
        pytest.param(np.float32([[0, 7, 255]]), codes_of(0.5, 9), 1.0, 0, id="numbers"),
        pytest.param(np.uint8([[0], [0]]), codes_of(0.5, 9), 1.0, 0, id="another shape"),
        pytest.param(np.int8([[-128, 0, 127]]), codes_of(0.5, 0, "int8"), 0.0, 2, id="with a sign"),
    ],
)  # fmt: skip
def test_values_that_are_cut_off_inside_prove_nothing(
    inside: Array, codes: Codes, off: float, n_cut: int
) -> None:
    rig = Rig({"i": codes})
    x = np.float32([[-4, 8, -2]])
    y = np.where(x > 0, x, SLOPES * x) + np.float32([[9, 0, 9]])
    seen = rig.observe(x, y, i=inside)
    assert (seen.n_cut, seen.off > 1) == (n_cut, bool(off))
    assert seen.off > 1 or seen.off == 0
    assert rig.layers.tensors(["a", "i", "p", "x"]) == ("a", "p", "i")
    assert rig.layers.tensors(["a", "i"]) == ()
    assert rig.layers.tensors(["p", "i"]) == ()
    assert rig.layers.tensors(["a", "p"]) == ("a", "p")


def test_calls_whose_tensors_are_missing_do_not_stop_the_others() -> None:
    rig = Rig(calls=2)
    first, second = rig.layers._matches["act"]
    missing = SimpleNamespace(**{**vars(first), "x": "zz"})
    rig.layers._matches = {"act": (cast(Any, missing), second)}
    assert rig.layers.tensors(["a", "p"]) == ("a", "p")
    assert rig.observe(X, Y).n_calls == 1
    rig.layers._matches = {}
    assert rig.layers.tensors(["a", "p"]) == ()


def test_tensors_inside_that_are_missing_do_not_stop_the_others() -> None:
    rig = Rig({"i": codes_of(0.5, 9), "j": codes_of(0.5, 9)})
    assert rig.observe(X, Y, i=np.zeros((2, 3), np.uint8)).n_cut == 3


def test_values_that_are_cut_off_in_several_places_count_once_each() -> None:
    rig = Rig({"i": codes_of(0.5, 9), "a": codes_of(0.5, 2), "r": codes_of(0.5, 2)})
    x = np.float32([[-0.25, -4.0, -0.25, -0.25, 0.0, 0.5]])
    y = np.float32([[0, 0, 200, 0, 200, 200]])
    inside = np.uint8([[0, 9, 9, 9, 9, 9]])
    slopes = np.full((1, 6), 0.5, np.float32)
    rig = Rig(rig.codes, slopes)
    for run in (1, 2):
        seen = rig.observe(x, y, run=run, i=inside)
        assert (seen.n_cut, seen.n_negative) == (3 * run, 4 * run)


def test_axes_may_lie_in_another_order() -> None:
    last, first = SLOPES.reshape(1, 1, 3), SLOPES.reshape(1, 3, 1)
    x = np.linspace(-4, 2, 24, dtype=np.float32).reshape(2, 3, 4)
    y = np.where(x > 0, x, first * x)
    rig = Rig(slopes=last, found=first, activation=np.asarray(y.transpose(0, 2, 1)))
    seen = rig.observe(x, y)
    assert (seen.off, seen.lost, seen.end_to_end.deviation.max_abs) == (0.0, None, 0.0)
    assert rig.parity().verdict == "pass"


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_orders_the_nearest_counts(turned: bool) -> None:
    slopes = np.float32([[[0.1, 0.2], [0.3, 0.4]]])
    laid = slopes.transpose(0, 2, 1) if turned else slopes
    x = np.full((1, 2, 2), -4, np.float32)
    rig = Rig(slopes=slopes, found=laid.copy())
    assert rig.observe(x, laid * x).off == 0.0
    alike = np.full((1, 2, 2), 0.25, np.float32)
    assert Rig(slopes=alike).observe(x, alike * x).off == 0.0


def test_axes_may_lie_in_an_order_that_only_the_activation_tells() -> None:
    slopes = SLOPES.reshape(1, 3, 1, 1)
    expected = np.linspace(-4, 2, 120, dtype=np.float32).reshape(2, 3, 4, 5)
    expected = np.where(expected > 0, expected, slopes * expected)
    x = np.linspace(-4, 2, 120, dtype=np.float32).reshape(2, 3, 4, 5).transpose(0, 2, 1, 3)
    found = slopes.transpose(0, 2, 1, 3).copy()
    y = np.where(x > 0, x, found * x)
    rig = Rig(slopes=slopes, found=found, activation=np.asarray(expected))
    seen = rig.observe(x, y)
    assert (seen.off, seen.lost, seen.end_to_end.deviation.max_abs) == (0.0, None, 0.0)


def test_an_activation_of_another_shape_is_not_compared() -> None:
    rig = Rig(activation=np.zeros((5, 5), np.float32))
    assert np.isnan(rig.observe(X, Y).end_to_end.deviation.max_abs)


def test_no_values_are_off_by_nothing() -> None:
    none = np.zeros((1, 0), np.float32)
    seen = Rig(slopes=none).observe(none, none)
    assert (seen.off, seen.n_calls) == (0.0, 1)
