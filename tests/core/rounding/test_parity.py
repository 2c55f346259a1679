"""Tensors against each other: what passes, what fails, what nobody can say, and by how much."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.verification.parity import Deviation, Verdict
from prelu_tools.core.rounding.parity import Comparison, Top1, ulps, worst
from prelu_tools.core.rounding.tolerance import Limit

NAN, INF = math.nan, math.inf
EXACT = Limit(0.0, 0.0)


def _array(*values: float) -> Array:
    return np.array(values, np.float32)


def _compare(reference: Array, candidate: Array, limit: Limit = EXACT) -> Comparison:
    comparison = Comparison(limit)
    comparison.add(reference, candidate)
    return comparison


# Verdicts


def test_equal_values_pass() -> None:
    found = _compare(_array(1, -2, 0), _array(1, -2, 0))
    assert (found.verdict, found.n_mismatched, found.n_nonfinite_mismatch) == ("pass", 0, 0)
    assert found.deviation == Deviation(0.0, 0.0, 0, 0.0, 0.0, pytest.approx(1.0), None)


def test_differences_are_counted_and_measured() -> None:
    found = _compare(_array(1, -2, 4), _array(1, -3, 2))
    assert (found.max_abs, found.deviation.max_rel, found.deviation.mean_abs) == (2.0, 0.5, 1.0)
    assert (found.n_mismatched, found.n_nonfinite_mismatch, found.verdict) == (2, 0, "fail")


def test_the_relative_difference_next_to_zero_is_finite() -> None:
    found = _compare(_array(0, 1), _array(1, 1))
    assert found.deviation.max_rel == pytest.approx(1 / 2**-126)


@pytest.mark.parametrize(
    ("limit", "reference", "candidate", "verdict"),
    [
        pytest.param(Limit(0.25, 0), 4, 5, "pass", id="exactly rtol"),
        pytest.param(Limit(0.25, 0), 4, 5.001, "fail", id="beyond rtol"),
        pytest.param(Limit(0.25, 0), -4, -5, "pass", id="negative reference"),
        pytest.param(Limit(0.25, 0), -4, -5.001, "fail", id="negative, beyond"),
        pytest.param(Limit(0.25, 0), 4, 3, "pass", id="below, exactly"),
        pytest.param(Limit(0.25, 0), 4, 2.999, "fail", id="below, beyond"),
        pytest.param(Limit(0.2, 0), 4, 5, "fail", id="relative to the reference"),
        pytest.param(Limit(0, 0.5), 1, 1.5, "pass", id="exactly atol"),
        pytest.param(Limit(0, 0.5), 1, 1.501, "fail", id="beyond atol"),
        pytest.param(Limit(0.25, 0.5), 4, 5.5, "pass", id="both add up"),
        pytest.param(Limit(0.25, 0.5), 4, 5.501, "fail", id="beyond the sum"),
        pytest.param(Limit(0, 0), 0, 0, "pass", id="no room, equal"),
    ],
)
def test_the_limit(limit: Limit, reference: float, candidate: float, verdict: Verdict) -> None:
    assert _compare(_array(reference), _array(candidate), limit).verdict == verdict


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
    found = _compare(_array(*reference), _array(*candidate))
    assert (found.n_nonfinite_mismatch, found.verdict) == (n_nonfinite, verdict)


@pytest.mark.parametrize("rtol", [1.0, INF])
def test_no_limit_is_wide_enough_for_nan(rtol: float) -> None:
    assert _compare(_array(1, 2), _array(1, NAN), Limit(rtol, 1.0)).verdict == "fail"


def test_the_differences_are_those_of_finite_values() -> None:
    found = _compare(_array(NAN, INF, 1), _array(NAN, INF, 1.5))
    assert (found.max_abs, found.deviation.max_rel, found.deviation.mean_abs) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[NAN], [INF], []])
def test_no_difference_is_known_where_nothing_is_finite(values: list[float]) -> None:
    found = _compare(_array(*values), _array(*values))
    deviation = found.deviation
    for figure in (found.max_abs, deviation.max_abs, deviation.max_rel, deviation.mean_abs,
                   deviation.p999_abs):  # fmt: skip
        assert math.isnan(figure)
    assert (deviation.cosine, deviation.snr_db, deviation.max_ulp) == (None, None, 0)


def test_nothing_compared_is_no_pass() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert Comparison(EXACT).verdict == "inconclusive"
    assert _compare(empty, empty).verdict == "inconclusive"


@pytest.mark.parametrize("sign", [1, -1])
def test_large_integers_have_to_be_equal(sign: int) -> None:
    large = np.array([sign * 2**53], np.int64)
    assert _compare(large, large).verdict == "pass"
    found = _compare(large, large + sign)
    assert (found.verdict, found.n_mismatched) == ("fail", 1)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8", "bool"])
def test_no_limit_excuses_an_integer(dtype: str) -> None:
    ones, zeros = np.ones(3, dtype), np.zeros(3, dtype)
    assert _compare(ones, ones).verdict == "pass"
    found = _compare(ones, zeros, Limit(9.0, 9.0))
    assert (found.verdict, found.n_mismatched, found.deviation.max_ulp) == ("fail", 3, 0)


# Several runs


def test_runs_add_up() -> None:
    found = Comparison(EXACT)
    found.add(_array(1, 2), _array(1, 2))
    assert found.verdict == "pass"
    found.add(_array(1, 2, NAN, 8), _array(1, 3, 4, 10))
    found.add(_array(1, 2), _array(1, 2))
    assert (found.n_mismatched, found.n_nonfinite_mismatch, found.verdict) == (2, 1, "fail")
    assert found.deviation.mean_abs == pytest.approx(3 / 7)
    assert (found.max_abs, found.deviation.max_rel) == (2.0, 0.5)


def test_nan_of_an_earlier_run_is_not_forgotten() -> None:
    found = _compare(_array(NAN), _array(NAN))
    found.add(_array(1), _array(1))
    assert found.verdict == "inconclusive"


def test_the_figures_against_numpy() -> None:
    generator = np.random.default_rng(0)
    runs = [generator.normal(size=shape) for shape in ((7, 300), (1, 300), (2, 50, 4))]
    noise = [1e-3 * generator.normal(size=run.shape) for run in runs]
    found = Comparison(EXACT)
    for run, spoilt in zip(runs, noise, strict=True):
        found.add(run, run + spoilt)
    left = np.concatenate([run.reshape(-1) for run in runs])
    right = np.concatenate([(r + n).reshape(-1) for r, n in zip(runs, noise, strict=True)])
    apart = abs(left - right)
    deviation = found.deviation
    assert deviation.max_abs == apart.max()
    assert deviation.max_rel == pytest.approx((apart / abs(left)).max())
    assert deviation.mean_abs == pytest.approx(apart.mean())
    each = [
        np.quantile(abs(run - (run + spoilt)), 0.999, method="inverted_cdf")
        for run, spoilt in zip(runs, noise, strict=True)
    ]
    assert deviation.p999_abs == max(each)
    assert deviation.p999_abs < deviation.max_abs
    cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
    assert deviation.cosine == pytest.approx(cosine, rel=1e-12)
    snr = 20 * np.log10(np.linalg.norm(left) / np.linalg.norm(left - right))
    assert deviation.snr_db == pytest.approx(snr, rel=1e-9)


def test_the_cosine_tells_directions_apart() -> None:
    cases = (([1, 2], [2, 4], 1.0), ([1, 2], [-1, -2], -1.0), ([1, 0], [0, 1], 0.0))
    for left, right, cosine in cases:
        assert _compare(_array(*left), _array(*right)).deviation.cosine == pytest.approx(cosine)
    assert _compare(_array(0, 0), _array(1, 0)).deviation.cosine is None
    assert _compare(_array(0, 0), _array(1, 0)).deviation.snr_db is None


# Units in the last place


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [1.0, 1.5, 4.0, -4.0, 0.37, "large", "smallest normal"])
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_away_from_zero_are_counted(dtype: type, value: float | str, steps: int) -> None:
    known = {
        "large": 0.7 * float(np.finfo(np.float16).max),
        "smallest normal": np.finfo(dtype).tiny,
    }
    start = dtype(known[value] if isinstance(value, str) else value)
    end = start
    for _ in range(steps):
        end = np.nextafter(end, dtype(math.copysign(np.inf, start)))
    found = _compare(np.array([start]), np.array([end]))
    assert found.deviation.max_ulp == steps


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_below_a_power_of_two_the_larger_value_gives_the_unit(dtype: type) -> None:
    below = dtype(2.0)
    for _ in range(4):
        below = np.nextafter(below, dtype(0))
    assert _compare(np.array([dtype(2.0)]), np.array([below])).deviation.max_ulp == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_subnormals_have_units_too(dtype: type) -> None:
    smallest = np.finfo(dtype).smallest_subnormal
    zero, one, five = dtype(0), dtype(smallest), dtype(5 * float(smallest))
    assert _compare(np.array([zero]), np.array([one])).deviation.max_ulp == 1
    assert _compare(np.array([-one]), np.array([one])).deviation.max_ulp == 2
    assert _compare(np.array([one]), np.array([five])).deviation.max_ulp == 4


def test_the_unit_is_the_candidates() -> None:
    half = np.array([1 + 2**-10], np.float16)
    assert _compare(np.array([1.0]), half).deviation.max_ulp == 1
    assert _compare(np.array([1.0]), half.astype(np.float32)).deviation.max_ulp == 2**13


def test_the_largest_number_of_units_counts_not_that_of_the_largest_difference() -> None:
    apart, size = np.array([1.0, 1e-3]), np.array([2.0**24, 1.0])
    assert ulps(apart, size, np.dtype(np.float32)) == round(1e-3 * 2**23)
    assert ulps(np.zeros(0), np.zeros(0), np.dtype(np.float32)) == 0


def test_a_number_of_units_fits_an_integer() -> None:
    far = ulps(np.array([1e300]), np.array([1e-300]), np.dtype(np.float64))
    assert far == 2**62


# The largest class


def _rows(*rows: list[float]) -> Array:
    return np.array(rows, np.float32)


def test_the_share_of_rows_whose_largest_class_is_the_same() -> None:
    top1 = Top1()
    top1.add(_rows([0.1, 0.9], [0.7, 0.3]), _rows([0.2, 0.8], [0.4, 0.6]))
    assert top1.agreement == 0.5
    top1.add(_rows([0.1, 0.9], [0.7, 0.3]), _rows([0.1, 0.9], [0.7, 0.3]))
    assert top1.agreement == 0.75


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(_rows([0.5, 0.6]), id="a sum above 1"),
        pytest.param(_rows([1.5, -0.5]), id="a negative one"),
        pytest.param(_rows([1.0], [1.0]), id="one class"),
        pytest.param(np.ones((2, 1, 1), np.float32), id="no rows of classes"),
        pytest.param(np.array([[0, 1]]), id="integers"),
        pytest.param(_rows([0.5, NAN]), id="NaN"),
    ],
)
def test_what_is_no_probability_has_no_largest_class(rows: Array) -> None:
    top1 = Top1()
    top1.add(rows, rows)
    top1.add(_rows([0.5, 0.5]), _rows([0.5, 0.5]))
    assert top1.agreement is None


def test_nothing_seen_is_no_agreement() -> None:
    assert Top1().agreement is None


# Several verdicts


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


def test_the_largest_numbers_are_infinitely_far_apart() -> None:
    largest = np.full(2, np.finfo(np.float64).max)
    with np.errstate(all="raise"):
        found = _compare(largest, -largest)
    assert (found.verdict, found.max_abs, found.deviation.max_ulp) == ("fail", INF, 2**62)
    near = np.nextafter(largest, 0.0)
    assert _compare(largest, near).deviation.max_ulp == 1
