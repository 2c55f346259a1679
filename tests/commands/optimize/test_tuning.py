"""Which form wins a race: the same on a busy machine as on a quiet one. The clocks are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.onnxruntime.running import racing
from prelu_tools.backends.onnxruntime.running.racing import Budget, Times, race, shortest_time
from prelu_tools.commands.optimize.tuning import _and_others, fastest, undecided

MILLISECONDS = {"prelu": 0.90, "max": 0.60, "relu_mul": 0.50, "depthwise": 0.503}


class Machine:
    """A processor, its clocks, and other processes that take their share of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, busy: float, seed: int = 0) -> None:
        """Put its clocks in the place of the real ones."""
        self.wall = self.processor = 0.0
        self._busy = busy
        self._random = np.random.default_rng(seed)
        monkeypatch.setattr(racing.time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(racing.time, "thread_time", lambda: self.processor)
        monkeypatch.setattr(racing.time, "process_time", lambda: self.processor)

    def run(self, milliseconds: float) -> Any:
        """A model that takes so long; others interrupt it and leave nothing in the cache."""

        def step(_feeds: Any) -> list[Any]:
            taken = milliseconds * 1e-3 * self._random.normal(1.0, 0.01)
            if self._random.random() < self._busy:
                taken += self._random.exponential(0.3e-3)  # what the cache has to be filled with
                self.wall += self._random.exponential(8e-3)  # what others computed meanwhile
            self.wall += taken
            self.processor += taken
            return []

        return step

    def race(self, seconds: float, **options: Any) -> Times:
        """Of all forms."""
        runs = {name: self.run(ms) for name, ms in MILLISECONDS.items()}
        return race(runs, {}, seconds, range(5, 400), 0, **options)


@pytest.mark.parametrize("busy", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_a_busy_machine_chooses_as_a_quiet_one(
    monkeypatch: pytest.MonkeyPatch, busy: float, seed: int
) -> None:
    times = Machine(monkeypatch, busy, seed).race(5.0, judge=undecided)
    assert fastest(times.seconds, "max") in ("relu_mul", "depthwise")  # a percent apart
    assert fastest(times.seconds, "depthwise") == "depthwise"
    assert len(times.seconds["prelu"]) < 20  # it was soon known to be slow
    assert (times.waited > 0.5) is (busy > 0)
    assert times.clock == "processor"


def test_more_threads_than_one_are_timed_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    times = Machine(monkeypatch, 0.5).race(0.5, threads=2)
    assert (times.clock, times.waited) == ("wall", 0.0)
    assert shortest_time(Machine(monkeypatch, 0.0).run(10.0), {}, 2) == pytest.approx(0.01, 0.1)


def test_without_a_judge_all_run_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    times = Machine(monkeypatch, 0.0).race(0.2).seconds
    assert len(set(map(len, times.values()))) == 1
    assert len(times["max"]) >= 5


def test_who_is_judged_slow_leaves_and_the_last_one_ends_the_race(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []

    def judge(times: Mapping[str, Sequence[float]]) -> list[str]:
        heard.append(len(times["max"]))
        return ["max", "prelu"] if len(heard) < 3 else []

    times = Machine(monkeypatch, 0.0).race(9.0, judge=judge).seconds
    assert {name: len(found) for name, found in times.items()} == {
        "prelu": heard[-1], "max": heard[-1], "relu_mul": 5, "depthwise": 5,
    }  # fmt: skip
    assert heard[0] == 5


def test_a_budget_is_processor_time_up_to_four_times_as_much_on_the_wall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, 0.0)
    one, two = Budget(10.0, 1), Budget(10.0, 2)
    machine.wall, machine.processor = 9.0, 2.0
    assert (one.left, two.left) == (8.0, 1.0)
    machine.wall = 39.0
    assert (one.left, two.left) == (1.0, -29.0)


@pytest.mark.parametrize(
    ("times", "left"),
    [
        ({"a": [1.0] * 9, "b": [2.0] * 9}, []),
        ({"a": [1.0] * 9, "b": [1.005] * 9}, []),  # as fast
        ({"a": [1.0] * 9, "b": [0.8, 1.3] * 4 + [1.02]}, ["a", "b"]),
        ({"a": [1.0] * 9, "b": [0.8, 1.3] * 4 + [1.02], "c": [0.1] * 4}, ["a", "b"]),  # c left
        ({"a": [1.0] * 9, "b": [0.8, 1.3] * 4 + [1.02], "c": [1.5] * 9}, ["a", "b"]),
        ({"a": [1.0] * 9}, []),
    ],
)
def test_what_is_still_open(times: dict[str, list[float]], left: list[str]) -> None:
    assert undecided(times) == left


def test_the_favourite_wins_where_it_is_as_fast() -> None:
    times = {"a": [1.0] * 9, "b": [1.009] * 9, "c": [1.011] * 9, "gone": [0.5] * 5}
    assert fastest(times, "b") == "b"
    assert fastest(times, "c") == "a"
    assert fastest(times, "gone") == "a"
    assert fastest(times, "unknown") == "a"


def test_a_note_names_a_few_groups() -> None:
    groups: Any = [[SimpleNamespace(name=name)] * 2 for name in "abcde"]
    assert _and_others(groups) == "a, b, c and 2 more, and layers like them"
    assert _and_others(groups[:3]) == "a, b, c, and layers like them"
