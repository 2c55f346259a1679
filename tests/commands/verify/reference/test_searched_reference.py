"""How a search finds inputs for what the draw left unreached, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from told_source import (
    ALL,
    PLAN,
    TWO,
    Feeds,
    ToldSource,
    prelu,
    rows,
    run,
)

from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.commands.verify.reference import searching
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.searching import SearchPlan
from prelu_tools.core.arrays import Array
from prelu_tools.core.process import effort
from prelu_tools.core.results.reasons import code_of

SEARCH = replace(PLAN, search=SearchPlan())


def test_a_search_begins_where_the_draw_left_off() -> None:
    source = ToldSource()
    found = run(source, TWO, plan=SEARCH)
    ((targets, start, limits),) = source.sought
    assert targets == {"a": [True, False, False]}
    assert (list(start), start["x"].shape) == (["x"], (32, 3))
    assert np.array_equal(start["x"], np.resize(TWO["x"], (32, 3)))
    assert (limits.seed, limits.ranges, limits.whole) == (3, {"x": (-9.0, 9.0)}, False)
    assert limits.axes == {"x": 0}
    assert (found.n_searched, found.feeds, found.notes) == (0, [TWO], [])


def test_an_input_without_axes_is_not_repeated() -> None:
    source = ToldSource()
    run(source, TWO | {"s": np.array(2.0)}, plan=SEARCH)
    assert source.sought[0][1]["s"].shape == ()


def test_there_is_no_search_without_time_or_need() -> None:
    for feeds, plan in ((TWO, PLAN), (ALL, SEARCH)):
        source = ToldSource(found=[ALL])
        assert run(source, feeds, plan=plan).n_searched == 0
        assert source.sought == []


def test_what_reaches_something_new_is_run_too() -> None:
    nothing, first, both = rows([1, -1, -1]), rows([-1, 1, 1], [1, 1, 1]), rows([-1, -1, -1])
    source = ToldSource(found=[nothing, first, both])
    found = run(source, TWO, plan=SEARCH)
    assert found.feeds == [TWO, first]
    assert (found.n_given, found.n_searched, len(found.outputs)) == (1, 2, 2)
    assert (found.coverage.exercised, found.doubts) == (3, [])
    assert np.array_equal(found.outputs[1]["y"], prelu(first)["y"])
    assert found.activations[2] is not None
    fed = [feeds["x"].tolist() for feeds in source.fed]
    assert fed.count(both["x"].tolist()) == 0  # nothing was left to be reached


def test_each_batch_has_to_reach_something_of_its_own() -> None:
    start = rows([1, 1, -1])
    one, again, two = rows([-1, 1, 1]), rows([-2, 1, 1]), rows([1, -1, 1])
    found = run(ToldSource(found=[one, again, two]), start, plan=SEARCH)
    assert found.feeds == [start, one, two]
    assert (found.n_searched, found.coverage.exercised) == (2, 3)


def test_a_batch_that_gives_nan_is_passed_over() -> None:
    bad, good = rows([-9, 1, 1]), rows([-1, 1, 1])

    def model(feeds: Mapping[str, Array]) -> dict[str, Array]:
        y = prelu(feeds)["y"]
        return {"y": np.where(feeds["x"] == -9, np.nan, y).astype(y.dtype)}

    found = run(ToldSource(model=model, found=[bad, good]), TWO, plan=SEARCH)
    assert (found.feeds, found.n_searched) == ([TWO, good], 1)


def test_a_search_keeps_the_batch_where_it_has_to() -> None:
    source = ToldSource()
    run(source, TWO, plan=replace(SEARCH, whole=True))
    assert source.sought[0][1] is TWO
    assert source.sought[0][2].whole is True


@pytest.mark.parametrize(
    ("most", "whole", "rows"), [(11, False, 1), (24, False, 2), (9999, False, 32), (11, True, 2)]
)
def test_rows_of_many_values_are_searched_few_at_a_time(
    most: int, whole: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_VALUES", most)  # a row has 12
    source = ToldSource()
    run(source, TWO, plan=replace(SEARCH, whole=whole))
    assert [len(start["x"]) for _, start, _ in source.sought] == [rows]


def _spending(monkeypatch: pytest.MonkeyPatch, plan: SearchPlan, *clock: float) -> Any:
    """A search whose every step takes a quarter of the usual effort, while a clock goes on."""
    now = iter([0.0, *clock])
    fake = SimpleNamespace(monotonic=lambda: next(now, clock[-1] if clock else 0.0))
    monkeypatch.setattr(effort, "time", fake)
    monkeypatch.setattr(Reference, "effort_of", lambda _, rows: rows * 5.0 / 4)
    spent: list[bool] = []

    class Spender(ToldSource):
        def seek(self, targets: Any, start: Any, limits: SearchLimits) -> Iterator[Feeds]:
            while len(spent) < 99 and limits.spend(1, 1):
                spent.append(True)
            yield from self.found

    found = run(Spender(), TWO, plan=replace(SEARCH, search=plan))
    return len(spent), found.notes


OF = "the search for inputs that reach the remaining slopes"


def test_a_search_ends_by_its_effort_and_not_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for clock in ((), (59.0,)):  # an idle machine, and a busy one
        assert _spending(monkeypatch, SearchPlan(), *clock) == (4, [])


def test_a_search_goes_on_where_more_slopes_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    n_steps, notes = _spending(monkeypatch, SearchPlan(required=1.0), 59.0)
    assert n_steps == 48
    assert notes == [
        f"{OF} ended before it had tried everything: --search-seconds 600 lets it go on"
    ]
    assert code_of(notes[0]) == "search_cut_short"
    assert _spending(monkeypatch, SearchPlan(required=0.5)) == (4, [])  # two of three are enough
    assert _spending(monkeypatch, SearchPlan(required=1.0), 61.0, 299.0)[0] == 48


@pytest.mark.parametrize(
    ("plan", "clock", "seconds", "more"),
    [(SearchPlan(), 61.0, 60, 120), (SearchPlan(required=1.0), 301.0, 300, 600),
     (SearchPlan(seconds=2.0), 2.1, 2, 60), (SearchPlan(seconds=50.0), 51.0, 50, 100)],
)  # fmt: skip
def test_the_clock_ends_a_search_that_is_very_slow(
    plan: SearchPlan, clock: float, seconds: int, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_steps, notes = _spending(monkeypatch, plan, 0.0, clock)
    assert n_steps == 1
    words = f"{OF} ran out of time after {seconds} s: --search-seconds {more} lets it go on"
    assert notes == [words]
    assert code_of(notes[0]) == "search_out_of_time"


def test_given_seconds_allow_any_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _spending(monkeypatch, SearchPlan(seconds=2.0), 1.9) == (99, [])
