"""How a search finds inputs for what the draw left unreached, in the time that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.interface import Observer, SearchLimits, Source
from prelu_tools.commands.reference import (
    Reference,
    ReferencePlan,
    run_reference,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.slopes import PReLULayer

Feeds = dict[str, Array]
Model = Callable[[Mapping[str, Array]], dict[str, Array]]
PLAN = ReferencePlan(
    wide=False, layers=True, search_seconds=0.0, seed=3, ranges={"x": (-9.0, 9.0)}, whole=False
)
SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)


def _layer(name: str = "a") -> PReLULayer:
    return PReLULayer(name, (name,), None, "prelu", SLOPES, None, (3,), None, True)


def _prelu(feeds: Mapping[str, Array]) -> dict[str, Array]:
    x = feeds["x"]
    return {"y": np.where(x > 0, x, x * SLOPES.astype(x.dtype))}


@dataclass
class _Source:
    """One layer that is called with the input, and what the tests say that it does."""

    model: Model = _prelu
    wide: Model | None = None
    wide_layer: Model = _prelu
    found: Sequence[Feeds] = ()
    stayed: tuple[str, ...] = ()
    fed: list[Feeds] = field(default_factory=list)
    sought: list[Any] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def layers(self) -> tuple[PReLULayer, ...]:
        return (_layer(),)

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Any]:
        yield _Runner(self, observe)

    @contextmanager
    def wide_runner(self, observe: Observer | None = None) -> Iterator[Any]:
        if self.wide is None:
            raise PReLUToolsError("no")
        yield _WideRunner(self, observe)

    def seek(
        self, targets: Mapping[str, Array], start: Feeds, limits: SearchLimits
    ) -> Iterator[Feeds]:
        masks = {name: mask.tolist() for name, mask in targets.items()}
        self.sought.append((masks, start, limits))
        yield from self.found


@dataclass
class _Runner:
    source: _Source
    observe: Observer | None

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self.source.fed.append(feeds)
        if self.observe:
            self.observe("a", 0, feeds["x"], _prelu(feeds)["y"])
            self.observe("a", 1, feeds["x"], 2 * _prelu(feeds)["y"])
        return self.source.model(feeds)


@dataclass
class _WideRunner:
    source: _Source
    observe: Observer | None

    @property
    def stayed_narrow(self) -> Sequence[str]:
        return self.source.stayed

    def run(self, feeds: Feeds) -> dict[str, Array]:
        wide = {name: values.astype(np.float64) for name, values in feeds.items()}
        if self.observe:
            self.observe("a", 0, wide["x"], self.source.wide_layer(wide)["y"])
            self.observe("z", 0, wide["x"], wide["x"])  # it was not seen in float32
        assert self.source.wide is not None
        return self.source.wide(wide)


def _feeds(*rows: Sequence[float]) -> Feeds:
    return {"x": np.array(rows, np.float32)}


TWO = _feeds([1, -2, 3], [4, 5, -6])
ONE = _feeds([1, -2, 3])
ALL = _feeds([-1, -2, -3])


def _run(source: _Source, *feeds: Feeds, plan: ReferencePlan = PLAN) -> Reference:
    with run_reference(cast(Source, source), feeds, plan) as reference:
        found = replace(reference)
        keys = [("float32", 0), ("float64", 0), ("float32", 1), ("float64", 1)]
        found.seen = {  # type: ignore[attr-defined]
            (precision, run, call): reference.stash.get((precision, run, "a", call))
            for precision, run in keys for call in (0, 1)
            if (precision, run, "a", call) in reference.stash
        }  # fmt: skip
        found.activations = [  # type: ignore[attr-defined]
            reference.activation(run, "a", call) for run in (0, 1) for call in (0, 1)
        ]
    return found


def _ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a quarter of a second whenever it is looked at."""
    clock = iter(tick / 4 for tick in range(99))
    fake = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("prelu_tools.commands.reference.time", fake)


SEARCH = replace(PLAN, search_seconds=50.0)


def test_a_search_begins_where_the_draw_left_off(monkeypatch: pytest.MonkeyPatch) -> None:
    _ticks(monkeypatch)
    source = _Source()
    found = _run(source, TWO, plan=SEARCH)
    ((targets, start, limits),) = source.sought
    assert targets == {"a": [True, False, False]}
    assert (list(start), start["x"].shape) == (["x"], (32, 3))
    assert np.array_equal(start["x"], np.resize(TWO["x"], (32, 3)))
    assert limits == SearchLimits(50.5, 3, {"x": (-9.0, 9.0)}, whole=False)
    assert (found.n_searched, found.feeds, found.notes) == (0, [TWO], [])


def test_an_input_without_axes_is_not_repeated() -> None:
    source = _Source()
    _run(source, TWO | {"s": np.array(2.0)}, plan=SEARCH)
    assert source.sought[0][1]["s"].shape == ()


def test_there_is_no_search_without_time_or_need() -> None:
    for feeds, plan in ((TWO, PLAN), (ALL, SEARCH)):
        source = _Source(found=[ALL])
        assert _run(source, feeds, plan=plan).n_searched == 0
        assert source.sought == []


def test_what_reaches_something_new_is_run_too() -> None:
    nothing, first, both = _feeds([1, -1, -1]), _feeds([-1, 1, 1], [1, 1, 1]), _feeds([-1, -1, -1])
    source = _Source(found=[nothing, first, both])
    found = _run(source, TWO, plan=SEARCH)
    assert found.feeds == [TWO, first]
    assert (found.n_given, found.n_searched, len(found.outputs)) == (1, 2, 2)
    assert (found.coverage.exercised, found.doubts) == (3, [])
    assert np.array_equal(found.outputs[1]["y"], _prelu(first)["y"])
    assert found.activations[2] is not None  # type: ignore[attr-defined]
    fed = [feeds["x"].tolist() for feeds in source.fed]
    assert fed.count(both["x"].tolist()) == 0  # nothing was left to be reached


def test_each_batch_has_to_reach_something_of_its_own() -> None:
    start = _feeds([1, 1, -1])
    one, again, two = _feeds([-1, 1, 1]), _feeds([-2, 1, 1]), _feeds([1, -1, 1])
    found = _run(_Source(found=[one, again, two]), start, plan=SEARCH)
    assert found.feeds == [start, one, two]
    assert (found.n_searched, found.coverage.exercised) == (2, 3)


def test_a_search_keeps_the_batch_where_it_has_to() -> None:
    source = _Source()
    _run(source, TWO, plan=replace(SEARCH, whole=True))
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
    _ticks(monkeypatch)  # 1/8 s for a row, so that four runs of a row take 1/2 s
    source = _Source()
    found = _run(source, TWO, plan=replace(PLAN, search_seconds=seconds, whole=whole))
    assert [len(start["x"]) for _, start, _ in source.sought] == ([] if rows is None else [rows])
    assert found.notes == ([NO_TIME.format(seconds)] if rows is None else [])
