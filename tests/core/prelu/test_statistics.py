"""Statistics against the standard library and torch; every word of health said and not said."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.statistics import Thresholds, slope_health, slope_statistics

MIXED = np.array([[-0.5, 0.0, 0.25], [0.009, 1.25, 2.0]], np.float32)
NAN, INF = math.nan, math.inf


def test_statistics_of_slopes_of_any_shape() -> None:
    found = slope_statistics(MIXED)
    values = [float(value) for value in MIXED.ravel()]
    assert found.count == 6
    assert found.mean == pytest.approx(statistics.mean(values), rel=1e-12)
    assert found.std == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert (found.min, found.max) == (-0.5, 2.0)
    assert found.median == pytest.approx(statistics.median(values), rel=1e-12)
    assert (found.n_negative, found.n_near_zero, found.n_above_one) == (1, 2, 2)
    assert found.n_nonfinite == 0


@pytest.mark.parametrize("count", range(1, 8))
def test_the_median_of_any_number_of_slopes(count: int) -> None:
    values = [0.5, -3.0, 8.0, 0.25, -0.125, 64.0, 2.0][:count]
    assert slope_statistics(np.array(values)).median == statistics.median(values)


@pytest.mark.torch
def test_the_deviation_is_that_of_torch() -> None:
    import torch

    expected = torch.from_numpy(MIXED).double().std().item()
    assert slope_statistics(MIXED).std == pytest.approx(expected, rel=1e-12)


def test_one_slope_has_no_deviation() -> None:
    found = slope_statistics(np.array(0.3))
    assert (found.count, found.std, found.median) == (1, None, 0.3)


def test_two_equal_slopes_have_deviation_zero() -> None:
    assert slope_statistics(np.array([0.5, 0.5])).std == 0.0


def test_float16_slopes_are_summed_in_float64() -> None:
    many = np.full(5000, 60000.0, np.float16)
    assert slope_statistics(many).mean == float(many[0])


@pytest.mark.parametrize(
    ("value", "n_negative", "n_near_zero", "n_above_one"),
    [
        (0.0, 0, 1, 0),
        (-0.0, 0, 1, 0),
        (0.01, 0, 1, 0),
        (-0.01, 1, 1, 0),
        (0.0101, 0, 0, 0),
        (-0.0101, 1, 0, 0),
        (1.0, 0, 0, 0),
        (1.0000001, 0, 0, 1),
        (-1.5, 1, 0, 0),
    ],
)
def test_counts_at_their_bounds(
    value: float, n_negative: int, n_near_zero: int, n_above_one: int
) -> None:
    found = slope_statistics(np.array([value, 0.5]))
    counts = (found.n_negative, found.n_near_zero, found.n_above_one)
    assert counts == (n_negative, n_near_zero, n_above_one)


def test_slopes_that_are_not_finite_show() -> None:
    found = slope_statistics(np.array([NAN, INF, -INF, 0.5]))
    assert found.n_nonfinite == 3
    assert (found.n_negative, found.n_above_one, found.n_near_zero) == (1, 1, 0)
    assert all(math.isnan(x) for x in (found.mean, found.min, found.max, found.median))


@pytest.mark.parametrize(
    ("slopes", "words"),
    [
        pytest.param([0.25, 0.25], ["at_init", "leaky", "uniform"], id="as torch starts"),
        pytest.param([0.25], ["at_init", "leaky"], id="as torch starts, one slope"),
        pytest.param([0.0, -0.0], ["at_init", "relu_like", "uniform"], id="as Keras starts"),
        pytest.param([0.25, 0.250001], ["leaky"], id="one step away"),
        pytest.param([0.0, 0.25], [], id="both starts are none"),
        pytest.param([0.01, 0.005], ["relu_like"], id="next to zero"),
        pytest.param([0.01, -0.01], ["relu_like", "sign_flipping"], id="around zero"),
        pytest.param([0.01, 0.0101], ["leaky"], id="just beyond"),
        pytest.param([0.001, 0.999], ["leaky"], id="inside"),
        pytest.param([0.5, 1.0], [], id="one is not a leak"),
        pytest.param([0.5, 0.0], [], id="zero is not a leak"),
        pytest.param([1.0, 1.0], ["identity_like", "uniform"], id="identity"),
        pytest.param([0.99, 1.0], ["identity_like"], id="below one"),
        pytest.param([1.0099, 1.0], ["identity_like", "expansive"], id="above one"),
        pytest.param([0.98, 1.0], [], id="too far from one"),
        pytest.param([-0.5, 0.5], ["sign_flipping"], id="some negative"),
        pytest.param([1.5, 0.5], ["expansive"], id="some above one"),
        pytest.param([-2.0, 2.0], ["sign_flipping", "expansive"], id="both"),
        pytest.param([0.5, 0.5], ["leaky", "uniform"], id="uniform"),
        pytest.param([NAN, 0.5], ["non_finite"], id="NaN"),
        pytest.param([NAN, NAN], ["non_finite"], id="NaN is not uniform"),
        pytest.param([INF, 0.5], ["expansive", "non_finite"], id="infinite"),
        pytest.param([-INF, 0.5], ["sign_flipping", "non_finite"], id="minus infinite"),
    ],
)
def test_health(slopes: list[float], words: list[str]) -> None:
    assert list(slope_health(np.array(slopes, np.float32).reshape(-1, 1, 1))) == words


@pytest.mark.parametrize(
    ("slopes", "word"),
    [
        (np.array([0.0625, -0.0625]), "relu_like"),
        (np.array([1.0625, 0.9375]), "identity_like"),
    ],
)
def test_how_near_is_near_may_be_chosen(slopes: Array, word: str) -> None:
    assert word in slope_health(slopes, Thresholds(near=0.0625))
    assert word not in slope_health(slopes, Thresholds(near=0.0624))
    assert word not in slope_health(slopes)


def test_how_near_zero_is_counted_may_be_chosen() -> None:
    assert slope_statistics(np.array([0.04, -0.06]), Thresholds(near=0.05)).n_near_zero == 1


def test_what_no_number_can_hold_raises_nothing() -> None:
    largest = float(np.finfo(np.float64).max)
    with np.errstate(all="raise"):
        assert slope_statistics(np.array([largest, largest])).mean == INF
        assert math.isnan(slope_statistics(np.array([INF, -INF])).mean)


def test_the_median_beside_an_infinity_is_finite() -> None:
    assert slope_statistics(np.array([1.0, 2.0, INF])).median == 2.0


def test_nearness_is_judged_in_float64() -> None:
    slopes = np.array([0.01, 0.01], np.float16)  # a little more than 0.01
    assert slope_health(slopes) == ("leaky", "uniform")
