"""Inputs are looked for that turn a decision: which are tried, and which count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from told_source import ToldSource, rows

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.branch_search import (
    BranchPlan,
    BranchSearch,
    Decider,
    search_branches,
)
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.inputs.trials import Domain, by_sizes, by_values
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process import effort
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.decisions import Decision, DecisionBook

Feeds = dict[str, Array]
ROWS = Rows({"x": 0}, frozenset({"batch"}))
SPEC = TensorSpec("x", "float32", ("batch", "width"), (1, 3))
GIVEN = [rows([1, 2, 3], [4, 5, 6]), rows([1, 2, 3])]
YES, NO = "evaluated to true", "evaluated to false"


def _domain(**other: Any) -> Domain:
    fields = {"specs": [SPEC], "ranges": {}, "whole": False, "rows": ROWS, **other}
    return Domain(**fields)


def _decider(condition: Callable[[Array], bool], by_size: bool = False, name: str = "") -> Decider:
    def decisions(runs: Sequence[Mapping[str, Array]]) -> list[Decision]:
        taken = frozenset(YES if condition(feeds["x"]) else NO for feeds in runs)
        return [Decision("it", (YES, NO), taken, by_size)]

    return Decider(name, decisions)


def _turned(decider: Decider, source: ToldSource | None = None, **other: Any) -> BranchSearch:
    fields = {"is_searched": True, "fits": lambda _feeds: True, **other}
    domain = fields.pop("domain", _domain())
    plan = BranchPlan([decider], domain, **fields)
    plain = ToldSource(model=lambda feeds: {"y": feeds["x"]}, observes_apart=False)
    return search_branches(cast(Any, source or plain), GIVEN, plan)


def test_what_both_ways_are_taken_by_is_left_alone() -> None:
    turned = _turned(_decider(lambda x: len(x) > 1))
    assert (turned.feeds, turned.doubts, turned.notes) == ([], {"": []}, [])


def test_inputs_that_turn_it_are_found() -> None:
    for condition in (
        lambda x: x.min() < -1000,
        lambda x: abs(x).max() < 0.1,
        lambda x: x.mean() > 90,
        lambda x: float(x.std()) > 1000,
        lambda x: (x < 0).all(),
    ):
        turned = _turned(_decider(cast(Any, condition)))
        (found,) = turned.feeds
        assert condition(found["x"])
        assert turned.doubts == {"": []}
        assert [code_of(note) for note in turned.notes] == ["branch_found"]


def test_what_nothing_turns_is_in_doubt() -> None:
    turned = _turned(_decider(lambda x: False, name="c"))
    (doubt,) = turned.doubts["c"]
    assert doubt.startswith("it never evaluated to true: no inputs were found")
    assert (turned.feeds, code_of(doubt)) == ([], "branch_not_taken")


@pytest.mark.parametrize(("seconds", "tried"), [(0.5, 20), (1.0, 10), (10.0, 8)])
def test_a_large_model_is_tried_with_fewer_inputs(seconds: float, tried: int) -> None:
    seen: list[Any] = []
    decider = _decider(lambda x: bool(seen.append(x)))
    plan = BranchPlan([decider], _domain(), True, lambda _feeds: True)
    plain = ToldSource(model=lambda feeds: {"y": feeds["x"]}, observes_apart=False)
    search_branches(cast(Any, plain), GIVEN, plan, seconds)
    assert len(seen) == len(GIVEN) + tried


def test_the_clock_ends_trials_that_are_very_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 101.0])
    monkeypatch.setattr(effort, "time", SimpleNamespace(monotonic=lambda: next(now)))
    (doubt,) = _turned(_decider(lambda x: False)).doubts[""]
    assert "no inputs were found within 100 s that change this" in doubt


def test_nothing_is_looked_for_where_that_is_not_wanted() -> None:
    turned = _turned(_decider(lambda x: x.min() < -1), is_searched=False)
    assert (turned.feeds, len(turned.doubts[""])) == ([], 1)


def test_ranges_are_kept() -> None:
    inside = _domain(ranges={"x": (0.0, 10.0)})
    assert all(f["x"].min() >= 0 and f["x"].max() <= 10 for f in [*by_values(GIVEN, inside)][2:])
    assert len(_turned(_decider(lambda x: x.min() < 0), domain=inside).doubts[""]) == 1


def test_batches_keep_their_size_where_they_have_to() -> None:
    for feeds in by_values(GIVEN, _domain(whole=True)):
        assert feeds["x"].shape == (2, 3)


def test_integers_and_flags_stay_among_those_given() -> None:
    given = [{"n": np.array([3, 7]), "b": np.array([True, False])}]
    found = list(by_values(given, _domain(rows=Rows({"n": 0, "b": 0}, frozenset({"batch"})))))
    assert {int(v) for feeds in found for v in feeds["n"]} <= {3, 4, 5, 6, 7}
    assert any((feeds["n"] == 3).all() and len(feeds["n"]) == 2 for feeds in found)
    assert any((feeds["n"] == 7).all() and len(feeds["n"]) == 2 for feeds in found)
    assert any(feeds["b"].all() and len(feeds["b"]) == 2 for feeds in found)
    assert any(not feeds["b"].any() and len(feeds["b"]) == 2 for feeds in found)


def test_sizes_turn_what_they_decide() -> None:
    (found,) = _turned(_decider(lambda x: x.shape[1] > 10, by_size=True)).feeds
    assert found["x"].shape[1] > 10
    turned = _turned(_decider(lambda x: x.shape[1] > 10**6, by_size=True))
    assert (turned.doubts, [code_of(n) for n in turned.notes]) == ({"": []}, ["branch_not_taken"])
    sizes = {feeds["x"].shape for feeds in by_sizes(GIVEN, _domain(whole=True))}
    assert {size[0] for size in sizes} == {2}


def test_sizes_that_a_candidate_does_not_take_are_not_tried() -> None:
    turned = _turned(
        _decider(lambda x: x.shape[1] > 10, by_size=True), fits=lambda f: f["x"].shape[1] == 3
    )
    assert turned.feeds == []


def test_inputs_that_the_reference_refuses_do_not_count() -> None:
    def refuse(feeds: Mapping[str, Array]) -> Feeds:
        if feeds["x"].min() < 0:
            raise PReLUToolsError("no")
        return dict(feeds)

    source = ToldSource(model=refuse, observes_apart=False)
    assert _turned(_decider(lambda x: x.min() < 0), source).feeds == []


def test_inputs_whose_outputs_are_infinite_do_not_count() -> None:
    def grow(feeds: Mapping[str, Array]) -> Feeds:
        return {"y": np.where(feeds["x"] < 0, np.inf, feeds["x"])}

    source = ToldSource(model=grow, observes_apart=False)
    assert _turned(_decider(lambda x: x.min() < 0), source).feeds == []


def test_inputs_whose_outputs_vary_are_preferred() -> None:
    def small(feeds: Mapping[str, Array]) -> Feeds:
        return {"y": np.where(abs(feeds["x"]).max() < 0.1, 0.0, feeds["x"])}

    source = ToldSource(model=small, observes_apart=False)
    (found,) = _turned(_decider(lambda x: abs(x).max() < 0.5), source).feeds
    assert abs(found["x"]).max() >= 0.1
    (found,) = _turned(_decider(lambda x: abs(x).max() < 0.05), source).feeds
    assert abs(found["x"]).max() < 0.05


def test_a_model_that_cannot_be_watched_is_told_of() -> None:
    def refuse(_runs: object) -> list[Decision]:
        raise PReLUToolsError("not so")

    turned = _turned(Decider("c", refuse))
    assert [code_of(note) for note in turned.notes] == ["decisions_not_watched"]
    assert turned.doubts == {}
    assert _turned(Decider("c", lambda _runs: [])).doubts == {}


def test_a_book_of_decisions_adds_up() -> None:
    book = DecisionBook()
    book.add([Decision("it", (YES, NO), frozenset([YES]))])
    assert book.news([Decision("it", (YES, NO), frozenset([YES]))]) == []
    other = [Decision("it", (YES, NO), frozenset([NO]))]
    assert book.news(other) == [("it", NO)]
    assert book.news([Decision("another", (YES, NO), frozenset([NO]))]) == []
    assert [one.untaken for one in book.untaken(by_sizes=False)] == [(NO,)]
    book.add(other)
    assert book.untaken(by_sizes=False) == book.untaken(by_sizes=True) == []
