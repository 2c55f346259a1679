"""Outputs against each other: what passes, what fails, and what nobody can say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.parity import compare_outputs, default_tolerance, worst
from prelu_tools.core.results import OutputParity, Tolerance, Verdict

NAN, INF = math.nan, math.inf
EXACT = Tolerance(0.0, 0.0, scaled=False, origin="given")


def _array(*values: float) -> Array:
    return np.array(values, np.float32)


def _compare(reference: Array, candidate: Array, tolerance: Tolerance = EXACT) -> OutputParity:
    return compare_outputs("y", [reference], [candidate], tolerance)


def test_equal_outputs_pass() -> None:
    parity = _compare(_array(1, -2, 0), _array(1, -2, 0))
    assert parity == OutputParity("y", (3,), 0.0, 0.0, 0, 0, "pass")


def test_differences_are_counted_and_measured() -> None:
    parity = _compare(_array(1, -2, 4), _array(1, -3, 2))
    assert (parity.max_abs_diff, parity.max_rel_diff) == (2.0, 0.5)
    assert (parity.n_mismatched, parity.n_nonfinite_mismatch, parity.verdict) == (2, 0, "fail")


def test_the_relative_difference_next_to_zero_is_finite() -> None:
    assert _compare(_array(0, 1), _array(1, 1)).max_rel_diff == pytest.approx(1 / 2**-126)


@pytest.mark.parametrize(
    ("tolerance", "reference", "candidate", "verdict"),
    [
        pytest.param(Tolerance(0.25, 0, False, ""), 4, 5, "pass", id="exactly rtol"),
        pytest.param(Tolerance(0.25, 0, False, ""), 4, 5.001, "fail", id="beyond rtol"),
        pytest.param(Tolerance(0.25, 0, False, ""), -4, -5, "pass", id="negative reference"),
        pytest.param(Tolerance(0.25, 0, False, ""), -4, -5.001, "fail", id="negative, beyond"),
        pytest.param(Tolerance(0.25, 0, False, ""), 4, 3, "pass", id="below, exactly"),
        pytest.param(Tolerance(0.25, 0, False, ""), 4, 2.999, "fail", id="below, beyond"),
        pytest.param(Tolerance(0.2, 0, False, ""), 4, 5, "fail", id="relative to the reference"),
        pytest.param(Tolerance(0, 0.5, False, ""), 1, 1.5, "pass", id="exactly atol"),
        pytest.param(Tolerance(0, 0.5, False, ""), 1, 1.501, "fail", id="beyond atol"),
        pytest.param(Tolerance(0.25, 0.5, False, ""), 4, 5.5, "pass", id="both add up"),
        pytest.param(Tolerance(0.25, 0.5, False, ""), 4, 5.501, "fail", id="beyond the sum"),
        pytest.param(Tolerance(0, 0.5, True, ""), 4, 6, "pass", id="scaled, exactly"),
        pytest.param(Tolerance(0, 0.5, True, ""), 4, 6.001, "fail", id="scaled, beyond"),
        pytest.param(Tolerance(0, 0.5, False, ""), 4, 6, "fail", id="the same unscaled"),
        pytest.param(Tolerance(0, 0, True, ""), 0, 0, "pass", id="no tolerance, equal"),
    ],
)
def test_tolerance(
    tolerance: Tolerance, reference: float, candidate: float, verdict: Verdict
) -> None:
    assert _compare(_array(reference), _array(candidate), tolerance).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(1.0, "pass"), (1.01, "fail")])
def test_the_scale_is_the_largest_reference_of_all_runs(value: float, verdict: Verdict) -> None:
    tolerance = Tolerance(0.0, 0.125, scaled=True, origin="given")
    parity = compare_outputs("y", [_array(0), _array(-8)], [_array(value), _array(-8)], tolerance)
    assert parity.verdict == verdict


def test_the_scale_leaves_out_what_is_not_finite() -> None:
    tolerance = Tolerance(0.0, 0.125, scaled=True, origin="given")
    assert _compare(_array(1, INF), _array(2, INF), tolerance).verdict == "fail"


@pytest.mark.parametrize(
    ("reference", "candidate", "n_nonfinite", "verdict"),
    [
        pytest.param([1, NAN], [1, NAN], 0, "inconclusive", id="NaN on both sides"),
        pytest.param([1, NAN], [1, 2], 1, "fail", id="NaN in the reference"),
        pytest.param([1, 2], [1, NAN], 1, "fail", id="NaN in the candidate"),
        pytest.param([NAN, 2], [2, NAN], 2, "fail", id="NaN at other places"),
        pytest.param([1, INF], [1, INF], 0, "pass", id="the same infinity"),
        pytest.param([1, INF], [1, -INF], 1, "fail", id="the other infinity"),
        pytest.param([1, INF], [1, 9e37], 1, "fail", id="infinite in the reference"),
        pytest.param([1, 9e37], [1, INF], 1, "fail", id="infinite in the candidate"),
        pytest.param([1, NAN], [1, INF], 1, "fail", id="NaN against infinity"),
        pytest.param([1, NAN], [2, NAN], 0, "fail", id="a real difference beside NaN"),
    ],
)
def test_values_that_are_not_finite(
    reference: list[float], candidate: list[float], n_nonfinite: int, verdict: Verdict
) -> None:
    parity = _compare(_array(*reference), _array(*candidate))
    assert (parity.n_nonfinite_mismatch, parity.verdict) == (n_nonfinite, verdict)


@pytest.mark.parametrize("rtol", [1.0, INF])
def test_no_tolerance_is_wide_enough_for_nan(rtol: float) -> None:
    wide = Tolerance(rtol, 1.0, scaled=True, origin="given")
    assert _compare(_array(1, 2), _array(1, NAN), wide).verdict == "fail"


def test_the_differences_are_those_of_finite_values() -> None:
    parity = _compare(_array(NAN, INF, 1), _array(NAN, INF, 1.5))
    assert (parity.max_abs_diff, parity.max_rel_diff) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[NAN], [INF], []])
def test_no_difference_is_known_where_nothing_is_finite(values: list[float]) -> None:
    parity = _compare(_array(*values), _array(*values))
    assert math.isnan(parity.max_abs_diff)
    assert math.isnan(parity.max_rel_diff)


def test_nothing_compared_is_no_pass() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert _compare(empty, empty).verdict == "inconclusive"


@pytest.mark.parametrize("shape", [(4,), (2, 1), (1, 4), ()])
def test_another_shape_fails_and_is_named(shape: tuple[int, ...]) -> None:
    parity = _compare(np.ones((1, 2), np.float32), np.ones(shape, np.float32))
    assert (parity.verdict, parity.shape) == ("fail", shape)
    assert (parity.n_mismatched, parity.n_nonfinite_mismatch) == (0, 0)
    assert math.isnan(parity.max_abs_diff)
    assert math.isnan(parity.max_rel_diff)


def test_another_shape_in_a_later_run_fails() -> None:
    runs = [np.ones((2, 3)), np.ones((1, 3))]
    parity = compare_outputs("y", runs, [runs[0], np.ones((1, 4))], EXACT)
    assert (parity.verdict, parity.shape) == ("fail", (1, 4))


def test_a_difference_in_a_later_run_fails() -> None:
    parity = compare_outputs("y", [_array(1), _array(2)], [_array(1), _array(3)], EXACT)
    assert (parity.verdict, parity.n_mismatched, parity.max_abs_diff) == ("fail", 1, 1.0)


def test_runs_have_to_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare_outputs("y", [_array(1), _array(2)], [_array(1)], EXACT)


def test_large_integers_have_to_be_equal() -> None:
    large = np.array([2**53], np.int64)
    assert _compare(large, large + 1).verdict == "fail"


@pytest.mark.parametrize(
    ("dtype", "passes", "fails"),
    [("float64", 5e-8, 2e-7), ("float32", 5e-5, 2e-4), ("float16", 5e-3, 2e-2)],
)
def test_the_default_tolerance_of_a_type(dtype: str, passes: float, fails: float) -> None:
    tolerance = default_tolerance(np.dtype(dtype))
    assert tolerance.scaled
    assert dtype in tolerance.origin
    assert tolerance.atol < tolerance.rtol
    reference = np.array([1.0, 1000.0])
    near = Tolerance(tolerance.rtol, 0.0, scaled=True, origin="relative part")
    assert _compare(reference, reference * (1 + passes), near).verdict == "pass"
    assert _compare(reference, reference * (1 + fails), near).verdict == "fail"


@pytest.mark.parametrize(
    ("dtype", "passes", "fails"),
    [("float64", 5e-10, 2e-9), ("float32", 5e-6, 2e-5), ("float16", 2e-3, 8e-3)],
)
def test_the_default_tolerance_beside_a_large_value(
    dtype: str, passes: float, fails: float
) -> None:
    tolerance = default_tolerance(np.dtype(dtype))
    reference = np.array([0.0, 1000.0])
    near, far = np.array([1000 * passes, 1000.0]), np.array([1000 * fails, 1000.0])
    assert _compare(reference, near, tolerance).verdict == "pass"
    assert _compare(reference, far, tolerance).verdict == "fail"


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool"])
def test_integers_and_booleans_have_to_be_equal(dtype: str) -> None:
    tolerance = default_tolerance(np.dtype(dtype))
    assert (tolerance.rtol, tolerance.atol) == (0.0, 0.0)
    ones, zeros = np.ones(3, dtype), np.zeros(3, dtype)
    assert _compare(ones, ones, tolerance).verdict == "pass"
    assert _compare(ones, zeros, tolerance).verdict == "fail"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail", "pass"], "fail"),
        (["pass", "fail"], "fail"),
        ([], "inconclusive"),
    ],
)
def test_the_worst_of_several(verdicts: list[Verdict], expected: Verdict) -> None:
    assert worst(verdicts) == expected
