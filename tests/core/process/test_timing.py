"""Ratios of timings, and what noise leaves of them."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.process.timing import ratio_of


def test_what_slows_a_round_down_cancels() -> None:
    rounds = np.random.default_rng(0).uniform(1.0, 9.0, 50)
    found = ratio_of(0.5 * rounds, rounds)
    assert (found.median, found.low, found.high, found.n_rounds) == (0.5, 0.5, 0.5, 50)


def test_the_interval_holds_the_median_and_narrows() -> None:
    generator = np.random.default_rng(1)
    few, many = (generator.normal(0.8, 0.05, n) for n in (10, 1000))
    wide, narrow = (ratio_of(values, np.ones(values.size)) for values in (few, many))
    for ratio in (wide, narrow):
        assert ratio.low <= ratio.median <= ratio.high
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert narrow.low < 0.8 < narrow.high


def test_two_runs_of_one_thing_are_not_told_apart() -> None:
    generator = np.random.default_rng(2)
    found = ratio_of(generator.normal(1, 0.1, 200), generator.normal(1, 0.1, 200))
    assert found.low < 1.0 < found.high


def test_one_outlier_moves_nothing() -> None:
    assert ratio_of([1.0] * 20 + [1000.0], [1.0] * 21).high == 1.0


def test_the_interval_is_that_of_400_resamples_of_the_seed() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.uniform(1, 2, 20), generator.uniform(1, 2, 20)
    found = ratio_of(first, second)
    assert found.n_rounds == 20
    assert (found.median, found.low, found.high) == pytest.approx(
        (1.1408641864031335, 0.7885350442848378, 1.2678345558835964)
    )
    assert ratio_of(first, second, 3).low == pytest.approx(0.806173817003298)
    assert ratio_of(list(first), list(second), 0) == found


@pytest.mark.filterwarnings("error")
def test_a_round_in_which_the_clock_stood_still_is_left_out() -> None:
    found = ratio_of([2.0, 0.0, 2.0, 2.0], [1.0, 1.0, 0.0, 1.0])
    assert (found.median, found.low, found.high, found.n_rounds) == (2.0, 2.0, 2.0, 2)
    found = ratio_of([0.0, 0.0], [0.0, 1.0])
    assert (found.median, found.low, found.high, found.n_rounds) == (1.0, 1.0, 1.0, 0)
