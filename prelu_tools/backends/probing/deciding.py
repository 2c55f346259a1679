"""The decisions that a model's Python code makes by numbers, and the branches that inputs take.

Tracing runs such code once and records the branch that it took. So a decision counts if another
value of the number would lead to other calls or other outputs; an assertion, which stops the
module, decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from prelu_tools.backends.probing.reading import Place, Readings
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.results.verification.decisions import Decision

Run = Callable[[Mapping[str, Array], Readings], dict[str, Array]]
"""Runs a model, and reports what its code reads."""
Feeds = Mapping[str, Array]

_OTHERS: Final[Sequence[Callable[[Any], Any]]] = (
    lambda value: -value,
    lambda value: value * 0,
    lambda value: value + 1,
    lambda value: value - 1,
    lambda value: value * 1000 + 1000,
    lambda value: value * -1000 - 1000,
)
_TRUE, _FALSE, _ELSEWHERE = "evaluated to true", "evaluated to false", "changed what the model does"


class Decisions:
    """The decisions of one model, as far as they are known."""

    def __init__(self, run: Run) -> None:
        """Nothing is known yet."""
        self._run = run
        self._places: dict[Place, None] = {}
        self._matters: dict[Place, bool] = {}
        self._paths: dict[Place, dict[object, set[tuple[str, ...]]]] = {}
        self._has_any: bool | None = None

    def of(self, runs: Sequence[Feeds]) -> tuple[Decision, ...]:
        """See `Source.decisions`."""
        if self._has_any is None:
            sizes = sorted(runs, key=lambda feeds: sum(v.size for v in feeds.values()))
            ends = sizes[:1] + sizes[1:][-1:]
            self._has_any = any(self._seen(feeds).reads for feeds in ends)
        if not self._has_any:
            return ()
        seen = [(feeds, self._seen(feeds)) for feeds in runs]
        places = dict.fromkeys(read.place for _, reading in seen for read in reading.reads)
        self._places |= places
        found = [self._decision(place, seen) for place in places]
        return tuple(decision for decision in found if decision is not None)

    def _seen(self, feeds: Feeds) -> Readings:
        reading = Readings()
        self._run(feeds, reading)
        return reading

    def _decision(self, place: Place, seen: Sequence[tuple[Feeds, Readings]]) -> Decision | None:
        values = [r.value for _, reading in seen for r in reading.reads if r.place == place]
        if all(isinstance(value, bool) for value in values):
            taken = frozenset(_TRUE if value else _FALSE for value in values)
            if len(taken) == 2 or self._is_decisive(place, seen):
                return Decision(f"the condition at {self._name(place)}", (_TRUE, _FALSE), taken)
            return None
        return self._by_number(place, seen)

    def _name(self, place: Place) -> str:
        """File and line, and a number where a line has several."""
        here = [p for p in self._places if (p.file, p.line) == (place.file, place.line)]
        number = here.index(place)
        return f"{Path(place.file).name}:{place.line}" + (f" ({number + 1})" if number else "")

    def _is_decisive(self, place: Place, seen: Sequence[tuple[Feeds, Readings]]) -> bool:
        """Whether another value, where it is read first, changes what the model does."""
        if place not in self._matters:
            feeds, reading = _first(place, seen)
            number = next(i for i, read in enumerate(reading.reads) if read.place == place)
            self._matters[place] = self._changes(feeds, reading, number, lambda value: not value)
        return self._matters[place]

    def _changes(
        self, feeds: Feeds, plain: Readings, number: int, other: Callable[[Any], Any]
    ) -> bool:
        changed = self._replaced(feeds, plain, number, other)
        if changed is None:
            return False
        outputs, reading = changed
        if reading.calls != plain.calls:
            return True
        before = self._run(feeds, Readings())
        return not all(same_bits(outputs[name], values) for name, values in before.items())

    def _replaced(
        self, feeds: Feeds, plain: Readings, number: int, other: Callable[[Any], Any]
    ) -> tuple[dict[str, Array], Readings] | None:
        """The outputs with another value for one that is read; None if the model stops."""
        reading = Readings(number, other, most=4 * len(plain.calls) + 1000)
        try:
            return self._run(feeds, reading), reading
        except Exception:  # any error of the module, or TooLongError: it does not take that branch
            return None

    def _by_number(self, place: Place, seen: Sequence[tuple[Feeds, Readings]]) -> Decision | None:
        """A number that decides: other values of it lead to other calls."""
        paths = self._paths.setdefault(place, {})
        for feeds, reading in seen:
            if any(read.place == place for read in reading.reads):
                sizes = tuple((name, values.shape) for name, values in feeds.items())
                paths.setdefault(sizes, set()).add(tuple(reading.calls))
        if place not in self._matters:
            feeds, reading = _first(place, seen)
            number = next(i for i, read in enumerate(reading.reads) if read.place == place)
            runs = (
                self._replaced(feeds, reading, number, _kept_in_type(other)) for other in _OTHERS
            )
            self._matters[place] = any(
                run is not None and run[1].calls != reading.calls for run in runs
            )
        if not self._matters[place]:
            return None
        several = any(len(ways) > 1 for ways in paths.values())
        taken = frozenset([_ELSEWHERE] if several else [])
        return Decision(f"the number read at {self._name(place)}", (_ELSEWHERE,), taken)


def _first(place: Place, seen: Sequence[tuple[Feeds, Readings]]) -> tuple[Feeds, Readings]:
    """The smallest run that reads there."""
    there = [(f, r) for f, r in seen if any(read.place == place for read in r.reads)]
    return min(there, key=lambda pair: sum(values.size for values in pair[0].values()))


def _kept_in_type(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: type(value)(change(value))
