"""How far a perturbed run moves the result of an operator, by how many terms it adds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prelu_tools.core.rounding.noise import (
    ALIKE,
    HUGE,
    REACH,
    SCALES,
    SINGLE,
    Noise,
    one_by_one,
    plain_sum_growth,
    sum_growth,
    term_growth,
)


def test_the_units_are_those_of_float32() -> None:
    assert np.finfo(np.float32).eps == SINGLE
    assert REACH == 8.0
    assert SCALES == 4
    assert ALIKE == 16.0
    assert HUGE == 1e30
    assert Noise(0).unit == SINGLE


def test_a_result_is_perturbed_by_half_the_reach_in_units() -> None:
    noise = Noise(0)
    assert noise.amount(SINGLE, 1.0) == 4 * SINGLE
    assert noise.amount(2.0**-52, 3.0) == 12 * SINGLE
    assert noise.amount(2.0**-10, 1.0) == 4 * 2.0**-10


def test_what_grows_inside_an_operator_grows_in_its_own_type() -> None:
    assert Noise(0).amount(2.0**-52, 1.0, 3.0) == 4 * (SINGLE + 3 * 2.0**-52)
    assert Noise(0, unit=2.0**-10).amount(SINGLE, 2.0, 5.0) == 4 * (2 * 2.0**-10 + 5 * SINGLE)


@pytest.mark.parametrize(("terms", "growth"), [(0, 1 / 3), (1, 1 / 3), (9, 1.0), (900, 10.0)])
def test_a_sum_of_one_sign(terms: float, growth: float) -> None:
    assert sum_growth(terms) == pytest.approx(growth)


@pytest.mark.parametrize(
    ("terms", "growth"),
    [(1, 2 / 3), (36, 4.0), (1600, 100.0), (2040, 127.5), (2048, 128.0), (1e6, 2000 / 3),
     (9000, 128.0)],
)  # fmt: skip
def test_a_sum_of_equal_terms(terms: float, growth: float) -> None:
    assert plain_sum_growth(terms) == pytest.approx(growth)


@pytest.mark.parametrize("terms", [0, 1, 100, 10_000])
def test_a_sum_of_any_sign(terms: float) -> None:
    assert term_growth(terms) == pytest.approx(0.7 * math.sqrt(max(terms, 1)))


@pytest.mark.parametrize("terms", [9, 100, 2500])
def test_honest_kernels_stay_within_it(terms: int) -> None:
    """Terms of one sign added one by one in float32, in units of their sum."""
    values = np.random.default_rng(terms).uniform(1, 2, (400, terms)).astype(np.float32)
    exact = values.sum(1, dtype=np.float64)
    one_by_one = np.cumsum(values, axis=1, dtype=np.float32)[:, -1]
    error = np.abs(one_by_one - exact) / exact / (SINGLE / 2)
    assert error.std() < sum_growth(terms) * 3
    assert np.median(error) > sum_growth(terms) / 20


def test_repeated_terms_round_alike_and_others_do_not() -> None:
    noisy = np.random.default_rng(0).uniform(0.5, 1.5, (3, 16000)).astype(np.float32)
    flat = np.broadcast_to(np.float32([[0.3137], [1.7], [127.3]]), noisy.shape)
    periodic = np.tile(np.float32([0.11, 0.73, 1.9, 0.37]), (3, 4000))
    scales = (1.1, 1.37, 1.618, 1.9)
    usual = one_by_one(noisy, scales).max() / (SINGLE / 2)
    assert usual < 128
    for values in (flat, periodic):
        assert one_by_one(values, scales).min() / (SINGLE / 2) > 500


def test_it_is_the_error_of_adding_one_by_one() -> None:
    values = np.full((2, 5000), 0.3137, np.float32)
    total = np.float32(0)
    for value in values[0]:
        total = np.float32(total + value)
    exact = values[0].sum(dtype=np.float64)
    running = one_by_one(values, [1], running=True)
    assert running.shape == values.shape
    np.testing.assert_array_equal(running[:, -1], one_by_one(values, [1]))
    assert (running[:, :2] == 0).all()
    np.testing.assert_allclose(one_by_one(values, [1]), abs(total - exact) / exact, rtol=1e-6)


def test_each_row_has_an_error_of_its_own() -> None:
    drawn = np.random.default_rng(0).uniform(0.5, 1.5, (2, 3, 400)).astype(np.float32)
    for running in (False, True):
        found = one_by_one(drawn, [1.37], running)
        assert found.dtype == np.float32
        assert found.shape == (drawn.shape if running else (2, 3))
        for place in np.ndindex(2, 3):
            np.testing.assert_array_equal(found[place], one_by_one(drawn[place], [1.37], running))
    scaled = drawn[0, 0] * np.float32(1.37)
    off = abs(np.cumsum(scaled)[-1] / scaled.sum(dtype=np.float64) - 1)
    assert one_by_one(drawn, [1.37])[0, 0] == pytest.approx(off, rel=1e-5)


def test_the_error_of_small_terms_is_as_large() -> None:
    values = np.full((1, 5000), 0.3137, np.float32)
    small = one_by_one(values * np.float32(2.0**-90), [1])
    np.testing.assert_array_equal(small, one_by_one(values, [1]))


def test_sums_that_happen_to_be_exact_are_not_so_for_every_kernel() -> None:
    whole = np.full((1, 9000), 255, np.float32)
    assert one_by_one(whole, [1]).item() == 0
    assert one_by_one(whole, [1, 1.37]).item() > 100 * SINGLE


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, np.inf, np.nan, 3e38])
def test_what_adds_up_to_no_number_or_to_nothing_has_no_error(value: float) -> None:
    assert one_by_one(np.full((1, 3000), value, np.float32), [1, 1.9]).tolist() == [0.0]


@pytest.mark.parametrize(("term", "error"), [(0.5, 5e29), (2.0, 0.0)])
def test_huge_errors_of_sums_that_cancel_count_for_nothing(term: float, error: float) -> None:
    values = np.float32([[1e8, term, -1e8, -term]])  # in float32 the second term is lost
    assert one_by_one(values, [1]).item() == pytest.approx(error)
