"""How far a moved run moves the result of an operator, by how many terms it adds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prelu_tools.core.rounding.noise import (
    REACH,
    SINGLE,
    Noise,
    plain_sum_growth,
    sum_growth,
    term_growth,
)


def test_the_units_are_those_of_float32() -> None:
    assert np.finfo(np.float32).eps == SINGLE
    assert REACH == 8.0
    assert Noise(0).unit == SINGLE


def test_a_result_is_moved_by_half_the_reach_in_units() -> None:
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
