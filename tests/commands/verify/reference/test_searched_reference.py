"""How a search finds inputs for what the draw left unreached, in the time that there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from told_source import (
    ALL,
    PLAN,
    TWO,
    ToldSource,
    prelu,
    rows,
    run,
    ticks,
)

from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.core.arrays import Array

SEARCH = replace(PLAN, search_seconds=50.0)


def test_a_search_begins_where_the_draw_left_off(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks(monkeypatch)
    source = ToldSource()
    found = run(source, TWO, plan=SEARCH)
    ((targets, start, limits),) = source.sought
    assert targets == {"a": [True, False, False]}
    assert (list(start), start["x"].shape) == (["x"], (32, 3))
    assert np.array_equal(start["x"], np.resize(TWO["x"], (32, 3)))
    assert limits == SearchLimits(50.5, 3, {"x": (-9.0, 9.0)}, False, {"x": 0})
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


NO_TIME = "no search for inputs: one run of the reference takes too long for --search-seconds {:g}"


@pytest.mark.parametrize(
    ("seconds", "whole", "rows"),
    [
        (0.4, False, None), (0.5, False, 1), (1.0, False, 2), (15.5, False, 31),
        (17.0, False, 32), (0.9, True, None), (1.0, True, 2), (17.0, True, 2),
    ],
)  # fmt: skip
def test_a_search_needs_time_for_a_few_runs(
    seconds: float, whole: bool, rows: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks(monkeypatch)  # 1/8 s for a row, so that four runs of a row take 1/2 s
    source = ToldSource()
    found = run(source, TWO, plan=replace(PLAN, search_seconds=seconds, whole=whole))
    assert [len(start["x"]) for _, start, _ in source.sought] == ([] if rows is None else [rows])
    assert found.notes == ([NO_TIME.format(seconds)] if rows is None else [])
