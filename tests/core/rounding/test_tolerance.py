"""Limits: by the reference's own rounding where that is known, else by type; integers have none."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.rounding import tolerance
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import (
    CALIBRATED,
    QUANTIZED,
    SENSITIVITY,
    Extent,
    Limit,
    default_tolerance,
    limit_of,
    resolution,
    resolution_of,
)

SINGLE, HALF, DOUBLE = (np.dtype(name) for name in ("float32", "float16", "float64"))
EPSILON = 2.0**-23


def _array(*values: float, dtype: Any = np.float32) -> Any:
    return np.array(values, dtype)


# What is known of a tensor


def test_the_scale_is_the_largest_finite_value_of_all_runs() -> None:
    extent = Extent()
    extent.note(_array(1, -8, np.inf, np.nan))
    extent.note(_array(2))
    assert extent == Extent(8.0, None)


def test_the_rounding_is_the_largest_difference_from_float64() -> None:
    extent = Extent()
    extent.note(_array(1, 3), _array(1.5, 3, dtype=np.float64))
    extent.note(_array(1, -7), _array(1, -7.25, dtype=np.float64))
    assert extent == Extent(7.25, 0.5)


def test_no_rounding_is_not_the_same_as_rounding_that_is_not_known() -> None:
    extent = Extent()
    extent.note(_array(1), _array(1, dtype=np.float64))
    assert extent.own_error == 0.0


def test_what_is_not_finite_on_one_side_is_no_rounding() -> None:
    extent = Extent()
    extent.note(_array(np.inf, 1), _array(1e39, 1, dtype=np.float64))
    assert extent == Extent(1.0, 0.0)


def test_integers_have_no_rounding() -> None:
    extent = Extent()
    extent.note(np.array([7]), np.array([7]))
    assert extent == Extent(0.0, None)


@pytest.mark.parametrize(
    ("error", "plausible"), [(None, True), (0.0, True), (1.09e-3, True), (1.11e-3, False)]
)
def test_more_than_the_default_is_another_function(error: float | None, plausible: bool) -> None:
    assert Extent(10.0, error).is_plausible is plausible


def test_any_error_of_zeros_is_another_function() -> None:
    assert not Extent(0.0, 1e-30).is_plausible


# Calibrated


def test_the_calibrated_limit_is_a_multiple_of_the_rounding_and_a_few_units_of_the_scale() -> None:
    limit = limit_of(CALIBRATED, Extent(10.0, 1e-6), SINGLE)
    assert limit.rtol == 0.0
    assert limit.atol == pytest.approx(8 * 1e-6 + 4 * EPSILON * 10.0, rel=1e-12)


def test_without_any_rounding_a_few_units_are_left() -> None:
    assert limit_of(CALIBRATED, Extent(2.0, 0.0), SINGLE) == Limit(0.0, 8 * EPSILON)


def test_the_multiple_and_the_units_are_those_of_the_tolerance() -> None:
    tolerance = Tolerance(0.0, 0.0, False, "calibrated", multiple=2.0, ulps=1.0)
    assert limit_of(tolerance, Extent(1.0, 1e-6), SINGLE).atol == pytest.approx(2e-6 + EPSILON)


def test_a_narrower_type_has_room_in_proportion() -> None:
    single = limit_of(CALIBRATED, Extent(10.0, 1e-6), SINGLE)
    half = limit_of(CALIBRATED, Extent(10.0, 1e-6), HALF)
    assert half.atol == pytest.approx(2**13 * single.atol)


def test_a_wider_type_has_the_room_of_float32() -> None:
    extent = Extent(10.0, 1e-6)
    assert limit_of(CALIBRATED, extent, DOUBLE) == limit_of(CALIBRATED, extent, SINGLE)


@pytest.mark.parametrize("dtype", [SINGLE, HALF, DOUBLE])
def test_rounding_that_is_not_known_falls_back_to_the_default(dtype: Any) -> None:
    default = default_tolerance(dtype)
    limit = limit_of(CALIBRATED, Extent(10.0), dtype)
    assert limit == Limit(default.rtol, 10.0 * default.atol)
    assert limit.rtol > 0


# Given, and by type


def test_a_given_tolerance_does_not_look_at_the_scale() -> None:
    given = Tolerance(0.5, 0.25, scaled=False, origin="given")
    assert limit_of(given, Extent(100.0, 1e-3), SINGLE) == Limit(0.5, 0.25)
    scaled = Tolerance(0.5, 0.25, scaled=True, origin="default")
    assert limit_of(scaled, Extent(100.0, 1e-3), SINGLE) == Limit(0.5, 25.0)


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "bool"])
@pytest.mark.parametrize(
    "tolerance", [CALIBRATED, Tolerance(1.0, 1.0, scaled=False, origin="given")]
)
def test_integers_and_booleans_have_to_be_equal(dtype: str, tolerance: Tolerance) -> None:
    assert limit_of(tolerance, Extent(10.0, 1.0), np.dtype(dtype)) == Limit(0.0, 0.0)
    default = default_tolerance(np.dtype(dtype))
    assert (default.rtol, default.atol) == (0.0, 0.0)


def _verdict(reference: Any, candidate: Any, limit: Limit) -> str:
    comparison = Comparison(limit)
    comparison.add(reference, candidate)
    return comparison.verdict


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
    limit = Limit(tolerance.rtol, 0.0)
    assert _verdict(reference, reference * (1 + passes), limit) == "pass"
    assert _verdict(reference, reference * (1 + fails), limit) == "fail"


@pytest.mark.parametrize(
    ("dtype", "passes", "fails"),
    [("float64", 5e-10, 2e-9), ("float32", 5e-6, 2e-5), ("float16", 2e-3, 8e-3)],
)
def test_the_default_tolerance_beside_a_large_value(
    dtype: str, passes: float, fails: float
) -> None:
    limit = limit_of(default_tolerance(np.dtype(dtype)), Extent(1000.0), np.dtype(dtype))
    reference = np.array([0.0, 1000.0])
    near, far = np.array([1000 * passes, 1000.0]), np.array([1000 * fails, 1000.0])
    assert _verdict(reference, near, limit) == "pass"
    assert _verdict(reference, far, limit) == "fail"


def test_the_calibrated_tolerance_has_no_limit_of_its_own() -> None:
    assert Tolerance(0.0, 0.0, False, "calibrated", multiple=8.0, ulps=4.0) == CALIBRATED
    assert isinstance(CALIBRATED.scaled, bool)


def test_no_error_at_all_is_plausible() -> None:
    assert Extent(0.0, 0.0).is_plausible
    assert not Extent(0.0, 1e-30).is_plausible


def test_what_is_small_or_empty_is_no_larger() -> None:
    extent = Extent()
    extent.note(_array(0.5))
    assert extent.scale == 0.5
    extent.note(_array(), _array(dtype=np.float64))
    assert (extent.scale, extent.own_error) == (0.5, 0.0)
    extent.note(_array(np.nan), _array(np.nan, dtype=np.float64))
    assert (extent.scale, extent.own_error) == (0.5, 0.0)


@pytest.mark.filterwarnings("error")
def test_an_error_beyond_all_numbers_is_infinite() -> None:
    extent = Extent()
    extent.note(_array(1.7e308, dtype=np.float64), _array(-1.7e308, dtype=np.float64))
    assert extent.own_error == np.inf


# A limit for each value


def _spread_of(values: Any, scale: float) -> Spread:
    return Spread(np.full(np.shape(values), scale, np.float32))


def test_each_value_has_sixteen_times_its_own_rounding() -> None:
    values = _array(1, 1024, 0)
    limit = limit_of(SENSITIVITY, Extent(1024.0), SINGLE, _spread_of(values, 2.0**-10), values)
    half_units = np.array([EPSILON / 2, 2.0**10 * EPSILON / 2, 2.0**-150])
    tiny = 2.0**-106
    assert limit.rtol == 0.0
    assert limit.atol == pytest.approx(16 * (2.0**-10 + half_units) + tiny, rel=1e-12, abs=0)


def test_near_zero_a_kernel_may_flush_to_zero() -> None:
    values = _array(0)
    limit = limit_of(SENSITIVITY, Extent(), SINGLE, _spread_of(values, 0.0), values)
    assert limit.atol == pytest.approx(2.0**-106, rel=1e-6, abs=0)


def test_a_narrow_output_loses_half_a_unit_and_what_lies_below_its_normal_numbers() -> None:
    values, spread = _array(8.0), _spread_of([8.0], 0.0)
    single = limit_of(SENSITIVITY, Extent(8.0), SINGLE, spread, values).atol
    half = limit_of(SENSITIVITY, Extent(8.0), HALF, spread, values).atol
    assert half - single == pytest.approx(2.0**-7 / 2 + 9 * 2.0**-24, rel=1e-6)
    double = limit_of(SENSITIVITY, Extent(8.0), DOUBLE, spread, values).atol
    assert double == single


@pytest.mark.parametrize(
    ("values", "dtype"), [([1], "float32"), ([1.5], "int64")], ids=["reference", "candidate"]
)
def test_integers_of_either_side_have_no_limit_of_their_own(values: list[Any], dtype: str) -> None:
    spread = Spread(np.zeros((), np.float32))
    limit = limit_of(SENSITIVITY, Extent(1.0), np.dtype(dtype), spread, np.array(values))
    assert (limit.rtol, limit.atol, limit.spread) == (0.0, 0.0, spread)


def test_quantized_candidates_have_no_tolerance_of_their_own() -> None:
    assert Tolerance(0.0, 0.0, False, "quantized") == QUANTIZED
    assert isinstance(QUANTIZED.scaled, bool)


def test_without_perturbed_runs_the_sensitive_limit_is_a_calibrated_one() -> None:
    limit = limit_of(SENSITIVITY, Extent(10.0, 1e-6), SINGLE)
    assert limit_of(SENSITIVITY, Extent(10.0, 1e-6), SINGLE, None, _array(1, 2)) == limit
    assert limit.atol == pytest.approx(16 * 1e-6 + 8 * EPSILON * 10.0, rel=1e-12)
    assert Tolerance(0.0, 0.0, False, "sensitivity", multiple=16.0, ulps=8.0) == SENSITIVITY
    assert (SENSITIVITY.rtol, SENSITIVITY.atol, SENSITIVITY.scaled) == (0.0, 0.0, False)
    assert isinstance(SENSITIVITY.scaled, bool)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("bfloat16", 2.0**-7), ("float16", 2.0**-10), ("float32", 2.0**-23), ("float64", 2.0**-52)],
)
def test_the_unit_of_a_type(name: str, unit: float) -> None:
    dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    assert resolution_of(name) == resolution(dtype) == unit


def test_the_name_of_a_type_may_be_one_that_numpy_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(_dtype: object) -> float:
        raise TypeError

    monkeypatch.setattr(tolerance, "resolution", unknown)
    assert resolution_of("bfloat16") == 2.0**-7
