"""The same inputs give the same outputs: what is random, what is rounding, what is a batch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, cycle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from told_source import ONE, PLAN, TWO, prelu, rows

from prelu_tools.commands.verify.reference.repeated import (
    depends_on_batch,
    is_first_row,
    is_near,
    is_random,
    random_parts,
    run_again,
    run_unobserved,
)
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


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([100, 0, 200, 300], "rounding_differs_between_runs"),
        ([100, 0, 200, 300, 400], "random_outputs"),
        ([900, 1800, 0], "random_outputs"),
        ([900, -900, 0], "rounding_differs_between_runs"),
    ],
)
def test_a_few_results_near_the_first_are_kernels(steps: list[int], code: str) -> None:
    turns = cycle(steps)
    one = {"x": np.ones((1, 3), np.float32)}
    runner = _Runner(lambda _rows: next(turns) * EPS)
    doubts, notes = _again(runner, one)
    assert doubts + notes == [code]


def test_the_sizes_of_all_inputs_that_showed_it_are_named() -> None:
    noise = _random(1.0)
    runner = _Runner(lambda n: noise(n) if n == 2 else 0.0)
    feeds = [feed | {"s": np.array(1.0)} for feed in (ONE, TWO)]
    (doubt,) = run_again(runner, feeds, [prelu(feed) for feed in feeds]).doubts
    assert doubt.endswith("; smaller inputs did not show it, these did: x [2, 3], s []")


def test_how_often_what_differs_is_run_again() -> None:
    runner = _Runner(_random(1.0))
    _again(runner, TWO)
    assert len(runner.ran) == 7


# In words


def test_what_is_random_or_rounds_otherwise_is_said() -> None:
    turns = cycle([1e-6, 0.0, 0.0])
    (random,) = run_again(_Runner(_random(1.0)), [TWO], [prelu(TWO)]).doubts
    (noise,) = run_again(_Runner(lambda _rows: next(turns)), [TWO], [prelu(TWO)]).notes
    assert random == (
        "gives different outputs when it is run again on the same inputs: something in it is "
        "random (a Dropout that is still active?), so nothing can be proven"
    )
    assert noise == (
        "gives outputs that differ by rounding when it is run again on the same inputs: it has "
        "more than one kernel for the same operator"
    )


@pytest.mark.parametrize(
    ("drops", "certain", "words", "code"),
    [
        (True, True, "d is in training mode: it drops values, unless the runtime removes it",
         "dropout_in_training_mode"),
        (True, False, "d is in training mode, depending on a value that the graph computes: it "
                      "drops values, unless the runtime removes it", "random_node"),
        (False, True, "d draws random numbers, so outputs differ from run to run: remove it for "
                      "inference", "random_node"),
        (False, False, "d draws random numbers, depending on a value that the graph computes, so "
                       "outputs differ from run to run: remove it for inference", "random_node"),
    ],
)  # fmt: skip
def test_parts_that_draw_random_numbers(drops: bool, certain: bool, words: str, code: str) -> None:
    part = SimpleNamespace(text="d", drops=drops, is_certain=certain)
    source: Any = SimpleNamespace(random_parts=lambda: [part, part])
    found = random_parts(source)
    assert [(str(one), code_of(one)) for one in found] == [(words, code)] * 2
    assert is_random(["so far", *found])
    assert not is_random(["so far"])


# Another kernel, or another model


EPS = 2.0**-23


@pytest.mark.parametrize(
    ("left", "right", "share", "near"),
    [
        ([1.0, 1e4], [1.0, 1e4], None, True),
        ([1.0, 1e4], [1.0 + 900 * EPS * 1e4, 1e4], None, True),
        ([1.0, 1e4], [1.0 + 1100 * EPS * 1e4, 1e4], None, False),
        ([1.0, 1e4], [1.0 + 0.009e4, 1e4], 1e-2, True),
        ([1.0, 1e4], [1.0 + 0.011e4, 1e4], 1e-2, False),
        ([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf], None, True),
        ([np.nan, 1.0], [1.0, 1.0], None, False),
        ([1.0, 1.0], [1.0, np.nan], None, False),
        ([np.inf, 1.0], [-np.inf, 1.0], None, False),
        ([np.inf, 1.0], [np.inf, 1.0 + 900 * EPS], None, True),
        ([np.inf, 1.0], [np.inf, 1.0 + 1100 * EPS], None, False),
        ([1.0], [1.0, 1.0], None, False),
        ([1 + 1000 * EPS], [1.0], None, True),
        ([1 + 1001 * EPS], [1.0], None, False),
        ([1e-3 * (1 + 1100 * EPS)], [1e-3], None, False),
        ([np.inf, 1e-3 * (1 + 1100 * EPS)], [np.inf, 1e-3], None, False),
        ([np.inf, 1e-3 * (1 + 900 * EPS)], [np.inf, 1e-3], None, True),
        ([], [], None, True),
    ],
)
def test_how_near_another_kernel_is(
    left: list[float], right: list[float], share: float | None, near: bool
) -> None:
    arrays = np.array(left, np.float32), np.array(right, np.float32)
    with np.errstate(all="raise"):
        assert is_near(*arrays, share) is near


def test_whole_numbers_are_equal_or_not() -> None:
    assert is_near(np.array([10000, 2]), np.array([10000, 2]), 1.0)
    assert not is_near(np.array([10000, 2]), np.array([10000, 3]), 1.0)


# Without an observer


def _unobserved(
    change: float, *feeds: Feeds, observes_apart: bool = False
) -> tuple[Any, list[int]]:
    runner = _Runner(lambda _rows: change)

    @contextmanager
    def open_plain() -> Iterator[Any]:
        yield runner

    source: Any = SimpleNamespace(observes_apart=observes_apart, runner=open_plain)
    return run_unobserved(source, list(feeds), [prelu(feed) for feed in feeds]), runner.ran


def test_the_smallest_batch_is_run_without_an_observer() -> None:
    assert _unobserved(0.0, TWO, ONE, THREE) == ([], [1])
    assert _unobserved(1e-4, TWO, ONE) == ([], [1])
    ((reason,), ran) = _unobserved(1.0, TWO, ONE)
    assert (ran, code_of(reason)) == ([1], "observed_differs")
    assert reason == (
        "gives different outputs when its layers are not observed, so the comparison proves "
        "nothing about the model in use"
    )
    assert _unobserved(1.0, TWO, observes_apart=True) == ([], [])
    assert _unobserved(1.0) == ([], [])


# The rest of a batch


@pytest.mark.parametrize(
    ("alone", "depends"),
    [
        ([[1.0, 100.0]], False),
        ([[1.9, 100.0]], False),
        ([[2.1, 100.0]], True),
        ([[1.0, 98.0]], True),
        ([[np.nan, 100.0]], False),
        ([[1.0]], False),
    ],
)
def test_a_row_that_changes_with_its_batch(alone: list[list[float]], depends: bool) -> None:
    together = np.array([[1.0, 100.0], [3.0, 500.0]], np.float32)
    results = [{"y": together, "n": np.array([1, 2])},
               {"y": np.array(alone, np.float32), "n": np.array([7])}]  # fmt: skip
    found = depends_on_batch([TWO, ONE], results, PLAN.rows)
    words = (
        "output 'y' of a row depends on the other rows of its batch: is a BatchNorm using batch "
        "statistics?"
    )
    assert [(str(one), code_of(one)) for one in found] == [(words, "batch_dependent")] * depends
    assert depends_on_batch([TWO, TWO], results, PLAN.rows) == []
    assert depends_on_batch([TWO], results[:1], PLAN.rows) == []


def test_an_output_without_axes_may_depend_on_its_batch_too() -> None:
    results = [{"y": np.array(1.0)}, {"y": np.array(2.0)}]
    assert len(depends_on_batch([TWO, ONE], results, PLAN.rows)) == 1
