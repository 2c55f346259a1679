"""A difference compared with drawn rounding: what is as large, larger, alike, or in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prelu_tools.commands.verify.quantized.closeness import (
    Closeness,
    _groupings,
    allowed_times,
)
from prelu_tools.core.arrays import Array

pytestmark = pytest.mark.filterwarnings("error")
NOISE = 0.125
INF, NAN = float("inf"), float("nan")


def _draws(base: Array, n: int) -> list[Array]:
    """The output with noise of one size everywhere, of either sign."""
    signs = np.random.default_rng(0).choice([-1, 1], (n, *base.shape))
    return list(base + (NOISE * signs).astype(base.dtype))


def _closeness(off: Any, n: int = 6, allowed: float = 0.0, **options: Any) -> Closeness:
    """Of an output of ones that is off by so much."""
    difference = np.asarray(off, np.float32)
    base = np.ones(difference.shape, np.float32)
    found = Closeness(n, **options)
    found.add(base, base + difference, base, _draws(base, n), np.asarray(allowed))
    return found


def _at(shape: tuple[int, ...], size: float, *place: Any) -> Array:
    off = np.zeros(shape, np.float32)
    off[place or ...] = size
    return off


@pytest.mark.parametrize(
    ("draws", "times"),
    [(0, INF), (1, 3.2e5), (2, 707.0), (3, 103.0), (4, 41.6), (5, 41.6), (6, 17.8), (8, 12.1),
     (12, 8.5), (16, 7.2), (24, 6.2), (32, 5.8), (63, 5.8), (64, 5.2), (1000, 5.2)],
)  # fmt: skip
def test_fewer_draws_allow_more(draws: int, times: float) -> None:
    assert allowed_times(draws) == times


@pytest.mark.parametrize(
    ("off", "worst"),
    [
        pytest.param(_at((5, 4), 8.5 * NOISE), 1.0, id="all of it"),
        pytest.param(_at((1, 100), 17.8 * NOISE, 0, 7), 1.0, id="a channel"),
        pytest.param(_at((20, 2), 17.8 * NOISE, ..., 1), 17.8 / 2**0.5 / 8.5, id="one of two"),
        pytest.param(_at((1, 1, 400), 17.8 * NOISE, 0, 0, 7), 17.8 / 20 / 8.5, id="no channel"),
        pytest.param(_at((4, 1, 9), 17.8 * NOISE, ..., 3), 1.0, id="a column"),
        pytest.param(_at((50, 2), 53.4 * NOISE, 3, 1), 1.0, id="a value"),
        pytest.param(_at((400,), 53.4 * NOISE, 3), 1.0, id="a value of one axis"),
        pytest.param(_at((3, 4), 0.0), 0.0, id="nothing"),
        pytest.param(_at((0, 4), 0.0), 0.0, id="no values"),
    ],
)
def test_what_is_off_is_measured_by_the_noise(off: Array, worst: float) -> None:
    assert _closeness(off).worst == pytest.approx(worst)
    assert _closeness(-off).worst == pytest.approx(worst)


def test_more_draws_leave_less_room_and_rounding_in_floating_point_some() -> None:
    off = _at((2, 3), NOISE)
    assert _closeness(off, n=3).worst == pytest.approx(1 / 17.8)
    assert _closeness(off, n=16).worst == pytest.approx(1 / 5.8)
    assert _closeness(off, allowed=0.5 * NOISE).worst == pytest.approx(0.5 / 8.5)
    assert _closeness(off, allowed=2 * NOISE).worst == 0.0
    assert _closeness(off, n=0).worst == INF
    assert _closeness(0 * off, n=0).worst == 0.0


def test_runs_add_up_and_one_of_another_size_counts_as_a_whole() -> None:
    found, base = _closeness(_at((2, 3), 0.0)), np.ones((2, 3), np.float32)
    found.add(base, base + 8.5 * NOISE, base, _draws(base, 6), np.asarray(0.0))
    assert found.worst == pytest.approx(np.sqrt(0.5))
    wide = np.ones((1, 5), np.float32)
    found.add(wide, wide, wide, _draws(wide, 6), np.asarray(0.0))
    assert found.worst == pytest.approx(np.sqrt(6 / 17))
    assert found.decibels == pytest.approx(20 * np.log10(8))


@pytest.mark.parametrize(
    ("expected", "found", "broken"),
    [([1, NAN], [1, NAN], False), ([1, INF], [1, INF], False), ([1, INF], [1, -INF], True),
     ([1, 2], [1, NAN], True), ([1, NAN], [1, 2], True), ([1, INF], [1, 2], True),
     ([1, 2], [1, 2, 3], True)],
)  # fmt: skip
def test_what_is_not_finite_on_one_side_or_of_another_shape_is_no_rounding(
    expected: list[float], found: list[float], broken: bool
) -> None:
    left, right = np.array(expected, np.float32), np.array(found, np.float32)
    closeness = Closeness(6)
    closeness.add(left, right, left, _draws(left, 6), np.asarray(0.0))
    assert (closeness.broken, closeness.worst) == (broken, INF if broken else 0.0)


@pytest.mark.parametrize(("flipped", "wrong", "worst"), [(10, 32, 1.0), (0, 1, 0.5), (5, 0, 0.0)])
def test_choices_may_differ_three_times_as_often_as_noise_moves_them(
    flipped: int, wrong: int, worst: float
) -> None:
    base, places = np.zeros(100, np.int64), np.arange(100)
    draws = [base, (places < flipped).astype(np.int64), np.zeros(3, np.int64)]
    found = Closeness(3)
    found.add(base, (places < wrong).astype(np.int64), base, draws, np.asarray(0.0))
    assert found.worst == pytest.approx(worst)
    alone = Closeness(0)
    alone.add(base, base + 1, base, [], np.asarray(0.0))
    assert alone.worst == pytest.approx(1 / 3.02)


def test_no_noise_or_no_signal_has_no_ratio() -> None:
    assert _closeness(_at((2, 3), 0.0)).decibels == pytest.approx(20 * np.log10(8))
    assert _closeness(_at((2, 3), 0.0), n=0).decibels is None
    silent, zero = Closeness(6), np.zeros((2, 3), np.float32)
    silent.add(zero, zero, zero, _draws(zero, 6), np.asarray(0.0))
    assert (silent.decibels, silent.least_factor, silent.worst) == (None, None, 0.0)


def _directed(found: Array, base: Array, runs: int = 1) -> Closeness:
    """Where the noise scales the output by a hundredth, and shifts it by as much."""
    draws = [base * (1 + sign * 0.01) + sign * 0.01 for sign in (1, -1) * 3]
    closeness = Closeness(6, directed=True)
    for _ in range(runs):
        closeness.add(base, found, base, draws, np.asarray(0.0))
    return closeness


@pytest.mark.parametrize("runs", [1, 3])
def test_differences_that_are_all_alike_are_measured_along_themselves(runs: int) -> None:
    base = np.array([[1.0, -1.0, 2.0], [-2.0, 3.0, -3.0]])
    assert _directed(base, base, runs).alike == 0.0
    scaled = _directed(base * 1.178, base, runs)
    assert scaled.least_factor == pytest.approx(0.178, rel=1e-3)
    assert scaled.alike == pytest.approx(
        1.25, rel=1e-3
    )  # of the channel whose noise has parts that cancel
    assert _directed(base + 0.178, base, runs).alike == pytest.approx(2.0, rel=1e-3)
    assert _directed(base - 0.178, base, runs).alike == pytest.approx(2.0, rel=1e-3)
    one = base + np.array([0.0, 0.178, 0.0])
    assert _directed(one, base, runs).alike == pytest.approx(0.5, rel=1e-3)
    assert Closeness(6).alike == 0.0
    assert Closeness(6).least_factor is None


def test_nobody_looks_along_directions_unless_asked() -> None:
    assert _closeness(_at((2, 3), NOISE)).alike == 0.0
    assert _closeness(_at((2, 3), NOISE)).least_factor is None
    assert _closeness(_at((2, 3), NOISE), directed=True).alike > 0.0


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        ((), [()]),
        ((5,), [(0,)]),
        ((5, 1), [(0, 1)]),
        ((5, 2), [(0, 1), (0,)]),
        ((5, 4096), [(0, 1), (0,)]),
        ((5, 4097), [(0, 1)]),
        ((5, 3, 2), [(0, 1, 2), (0, 2), (0, 1)]),
        ((5, 3, 1), [(0, 1, 2), (0, 2)]),
        ((5, 1, 64), [(0, 1, 2), (0, 1)]),
        ((5, 1, 65), [(0, 1, 2)]),
    ],
)
def test_values_are_grouped_by_channel_and_by_a_few_columns(
    shape: tuple[int, ...], groups: list[tuple[int, ...]]
) -> None:
    assert list(_groupings(shape)) == groups


@pytest.mark.parametrize(("channels", "looked_at"), [(64, True), (65, False)])
def test_directions_of_many_channels_are_not_looked_at(channels: int, looked_at: bool) -> None:
    base = np.ones((2, channels))
    found = _directed(base, base)
    assert (("factor", (0,)) in found._along) is looked_at
    assert ("shift", (0, 1)) in found._along


def test_a_measure_begins_with_nothing() -> None:
    assert Closeness(6) == Closeness(6, False, False, {}, {}, 0.0, 0.0, 0.0, ())


def _varied(shape: tuple[int, ...], off: float) -> Closeness:
    """Many rows of two channels; the first has eight times the noise, but for its first row."""
    base = np.ones(shape)
    size = np.ones(shape)
    size[:, 0] = 8
    size[0, 0] = 0
    draws = [base + sign * NOISE * size for sign in (1, -1) * 3]
    found = Closeness(6)
    found.add(base, base + _at(shape, off, 0, 0).astype(np.float64), base, draws, np.asarray(0.0))
    return found


@pytest.mark.parametrize("shape", [(100, 2), (100, 2, 1)])
def test_a_value_without_noise_of_its_own_has_that_of_its_channel(shape: tuple[int, ...]) -> None:
    usual = 8 * NOISE * 0.99**0.5
    assert _varied(shape, 10.0).worst == pytest.approx(10 / (53.4 * usual))


def test_noise_without_an_end_explains_nothing() -> None:
    base = np.ones((2, 3))
    for off in (0.0, 1.0):
        found = Closeness(6)
        found.add(base, base + off, base, [base * INF] * 6, np.asarray(0.0))
        assert (found.worst > 1e300) is bool(off)
        assert found.worst == 0 or off


def test_sizes_that_differ_leave_what_they_have_in_common() -> None:
    found = Closeness(6)
    for size in (3, 5):
        base = np.ones((2, size, 4))
        found.add(base, base + 1.0, base, [base] * 6, np.asarray(0.0))
    assert found._sums[0, 1].off.tolist() == [16.0] * 4
    assert found._sums[0, 2].off.tolist() == [8.0] * 3
    assert found._sums[0, 1, 2].off == 64.0


def _along(base: Array, found: Array, *draws: Array) -> Closeness:
    closeness = Closeness(len(draws), directed=True)
    closeness.add(base, found, base, draws, np.asarray(0.0))
    return closeness


def test_without_noise_rounding_in_floating_point_is_left_along_directions() -> None:
    base = np.array([2.0, 3.0, -1.0])
    assert _along(base, base * (1 + 5e-6), *[base] * 6).alike == pytest.approx(0.5)
    shifted = _along(base, base + 6e-6, *[base] * 6).alike
    assert shifted == pytest.approx(18e-6 / 6 / 1e-5)
    assert _along(base, base, *[base] * 6).alike == 0.0
    zero = np.zeros(3)
    assert _along(zero, zero, *[zero] * 6).alike == 0.0
    ones = zero + 1
    assert _along(ones, ones + 1, *[ones] * 6).alike > 1e4
    dark = np.zeros(3)
    assert _along(dark, dark + 1, *[dark] * 6).alike == INF


def test_every_draw_counts_along_directions() -> None:
    base = np.array([2.0, 3.0, -1.0])
    factors = np.array([0.01, 0.02, 0.03, 0.05, 0.07, 0.11])
    found = _along(base, base * 1.1, *(base * (1 + factor) for factor in factors))
    usual = np.sqrt(np.mean(np.square(factors)))
    assert found.alike == pytest.approx(0.1 / (17.8 * usual), rel=1e-3)
    assert found.least_factor == pytest.approx(17.8 * usual, rel=1e-3)
    small = _along(base / 100, base / 100, *(base / 100 * (1 + factor) for factor in factors))
    assert small.least_factor == pytest.approx(17.8 * usual, rel=1e-3)
    assert small.decibels == pytest.approx(-20 * np.log10(usual))
    silent = _along(base * 0, base * 0, *[base] * 6)
    assert (silent.least_factor, silent.decibels) == (None, None)


def test_many_channels_hide_no_columns() -> None:
    base = np.ones((2, 65, 3))
    found = _along(base, base, *[base] * 6)
    assert set(found._along) == {
        (name, axes) for name in ("factor", "shift") for axes in ((0, 1, 2), (0, 1))
    }
