"""Search for inputs that reach the slopes that the inputs so far did not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.trial_runs import usable_rows
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.process.effort import Budget
from prelu_tools.core.process.progress import counted
from prelu_tools.core.results.reasons import Reason

OUT_OF_TIME: Final = "search_out_of_time"
"""The code of a search that the clock ended: on another machine it may reach more."""
CUT_SHORT: Final = "search_cut_short"
"""The code of a search that ended by its effort, the same on every machine."""


class _Most(NamedTuple):
    effort: float
    seconds: float


_USUAL: Final = _Most(5.0, 60.0)
_REQUIRED: Final = _Most(60.0, 300.0)  # while fewer slopes are reached than the user requires
_ROWS: Final = 32  # searched at once
_VALUES: Final = 1 << 26  # in one run: large models are searched in fewer rows


@dataclass(frozen=True)
class SearchPlan:
    """How to look for inputs that reach the slopes left over."""

    seconds: float | None = None
    """How long, however much effort that is; 0 for not at all; None for the usual effort."""
    required: float = 0.0
    """The share of all slopes that has to be reached: below it, the usual effort is extended."""


def more_seconds(seconds: float | None) -> str:
    """The option that gives a search more time than these seconds."""
    given = _REQUIRED.seconds if seconds is None else seconds
    return f"--search-seconds {max(2 * given, _USUAL.seconds):g}"


@dataclass
class SlopeSearch:
    """A search, and what it has found."""

    reference: Reference
    """The reference; its inputs so far were run."""
    plan: SearchPlan
    """How long to look."""
    seed: int
    """The seed of random draws."""
    ranges: dict[str, tuple[float, float]]
    """The ranges of the inputs."""
    whole: bool
    """Whether batches have to keep their size."""
    found: list[Feeds] = field(default_factory=list)
    """Batches that reach something new."""

    def __post_init__(self) -> None:
        """Nothing was looked for yet."""
        book = self.reference.coverage
        self._targets = {layer.name: ~book.reached(layer.name) for layer in self.reference.layers}
        seconds = self.plan.seconds
        most = _USUAL if seconds is None else _Most(math.inf, seconds)
        self._budget = Budget(*most)
        self._is_extensible = seconds is None

    def run(self) -> None:
        """Look for inputs until all slopes are reached, or the search ends."""
        if not self._left():
            return
        rows, reference = self.reference.rows, self.reference
        start = self._start()
        limits = SearchLimits(self._spend, self.seed, self.ranges, self.whole, rows.axes)
        with reference.source.runner(lambda layer, _call, x, _y: trial.note(layer, x)) as runner:
            found = reference.source.seek(self._targets, start, limits)
            for feeds in counted(found, "looking for inputs that reach the remaining slopes"):
                trial = CoverageBook(reference.layers)
                if not usable_rows(runner.run(feeds), rows.count(feeds)).all():
                    continue  # it would prove nothing
                new = {name: mask & trial.reached(name) for name, mask in self._targets.items()}
                if any(mask.any() for mask in new.values()):
                    self.found.append(feeds)
                    for name, mask in new.items():
                        self._targets[name] &= ~mask  # `seek` does not look for these any more
                if not self._left():
                    break
        reference.notes += self._notes()

    def _start(self) -> dict[str, Array]:
        first, rows = self.reference.feeds[0], self.reference.rows
        if self.whole:
            return first
        count = int(_VALUES / max(self.reference.values_per_row, 1.0))
        given = np.arange(rows.count(first))
        return rows.take(first, np.resize(given, min(max(count, 1), _ROWS)))

    def _spend(self, rows: int, runs: int) -> bool:
        effort = runs * self.reference.effort_of(rows)
        if self._budget.spend(effort):
            return True
        if not self._is_extensible or not self._is_short():
            return False
        self._is_extensible = False
        self._budget.extend(*_REQUIRED)
        return self._budget.spend(effort)

    def _left(self) -> int:
        return sum(int(mask.sum()) for mask in self._targets.values())

    def _is_short(self) -> bool:
        """Whether fewer slopes are reached than the user requires."""
        total = self.reference.coverage.total
        return total - self._left() < self.plan.required * total

    def _notes(self) -> list[Reason]:
        """Why the search ended, if it might reach more slopes."""
        budget, what = self._budget, "the search for inputs that reach the remaining slopes"
        if budget.ended_by is None or not self._left():
            return []
        more = f"{more_seconds(budget.seconds)} lets it go on"
        if budget.ended_by == "clock":
            return [
                Reason(f"{what} ran out of time after {budget.seconds:g} s: {more}", OUT_OF_TIME)
            ]
        if not self._is_short():
            return []  # the report lists the slopes
        return [Reason(f"{what} ended before it had tried everything: {more}", CUT_SHORT)]
