"""The same inputs give the same outputs: what is random, what is rounding, what is a batch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, cycle
from typing import Any

import numpy as np
import pytest
from told_source import ONE, PLAN, TWO, prelu, rows

from prelu_tools.commands.verify.reference.repeated import is_first_row, run_again
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.reasons import code_of

THREE = rows([1, 2, 3], [-1, 2, 3], [1, -2, 3])
Feeds = Mapping[str, Array]


class _Runner:
    """Adds something to PReLU in each run; notes how many rows it ran."""

    def __init__(self, add: Callable[[int], float]) -> None:
        self.ran: list[int] = []
        self._add = add

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run it."""
        self.ran.append(len(feeds["x"]))
        return {"y": prelu(feeds)["y"] + np.float32(self._add(len(feeds["x"])))}


def _again(runner: Any, *feeds: Feeds) -> tuple[list[str | None], list[str | None]]:
    found = run_again(runner, feeds, [prelu(feed) for feed in feeds])
    return [code_of(doubt) for doubt in found.doubts], [code_of(note) for note in found.notes]


def test_each_size_is_run_once_more_and_no_more() -> None:
    runner = _Runner(lambda _rows: 0.0)
    assert _again(runner, TWO, ONE, TWO, THREE, ONE) == ([], [])
    assert runner.ran == [1, 2, 3]


def _random(scale: float) -> Callable[[int], float]:
    draws = np.random.default_rng(0)
    return lambda _rows: scale * float(draws.normal())


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_what_differs_each_time_is_random_however_small(scale: float) -> None:
    assert _again(_Runner(_random(scale)), TWO) == (["random_outputs"], [])


def test_what_is_random_at_one_size_only_is_random() -> None:
    noise = _random(1e-6)
    runner = _Runner(lambda n: noise(n) if n == 3 else 0.0)
    found = run_again(runner, [TWO, ONE, THREE], [prelu(f) for f in (TWO, ONE, THREE)])
    (doubt,) = found.doubts
    assert "smaller inputs did not show it, these did: x [3, 3]" in doubt
    (other,) = run_again(_Runner(_random(1.0)), [TWO], [prelu(TWO)]).doubts
    assert "smaller inputs" not in other


def test_two_kernels_are_not_randomness() -> None:
    turns = cycle([1e-6, 0.0, 0.0])
    assert _again(_Runner(lambda _rows: next(turns)), TWO) == (
        [],
        ["rounding_differs_between_runs"],
    )


def test_two_results_that_are_far_apart_are_randomness() -> None:
    turns = cycle([0.1, 0.0, 0.0])
    assert _again(_Runner(lambda _rows: next(turns)), TWO) == (["random_outputs"], [])


def test_values_that_are_no_numbers_are_held_by_their_bits() -> None:
    odd = {"x": np.array([[1.0, np.nan, -np.inf]], np.float32)}
    assert _again(_Runner(lambda _rows: 0.0), odd) == ([], [])


class _Integers:
    def __init__(self) -> None:
        self._number = count()

    def run(self, _feeds: Feeds) -> dict[str, Array]:
        return {"y": np.array([next(self._number) % 2])}


def test_integers_that_change_are_random() -> None:
    found = run_again(_Integers(), [TWO], [{"y": np.array([1])}])
    assert [code_of(doubt) for doubt in found.doubts] == ["random_outputs"]


def test_a_model_without_inputs_is_run_again() -> None:
    found = run_again(_Integers(), [{}], [{"y": np.array([0])}])
    assert (found.doubts, found.notes) == ([], [])


def _sequence(results: Sequence[Feeds]) -> Any:
    left = iter(results)

    class Runner:
        def run(self, _feeds: Feeds) -> dict[str, Array]:
            return dict(next(left))

    return Runner()


def test_a_shape_that_changes_is_random() -> None:
    runner = _sequence([{"y": np.zeros(n, np.float32)} for n in (2, 3, 2, 3, 2, 3, 2, 3)])
    found = run_again(runner, [TWO], [{"y": np.zeros(3, np.float32)}])
    assert [code_of(doubt) for doubt in found.doubts] == ["random_outputs"]


def test_what_is_the_first_row_of_another_run() -> None:
    scalar = {"s": np.array(2.0)}
    assert is_first_row(ONE, TWO, PLAN.rows)
    assert not is_first_row(TWO, TWO, PLAN.rows)
    assert not is_first_row(ONE, ONE, PLAN.rows)
    assert not is_first_row(rows([1, -2, 4]), TWO, PLAN.rows)
    assert not is_first_row(TWO, ONE, PLAN.rows)
    assert is_first_row(ONE | scalar, TWO | scalar, PLAN.rows)
    assert not is_first_row(ONE | {"s": np.array(3.0)}, TWO | scalar, PLAN.rows)
    assert not is_first_row({"x": np.zeros((0, 3))}, TWO, PLAN.rows)
