"""Find the sizes that a reference accepts, other than those of its example."""

from __future__ import annotations

from collections.abc import Iterator

from prelu_tools.commands.verify.inputs.drawing import Drawer
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.sizes import (
    STEPS,
    Sizes,
    coarser,
    in_words,
    n_different,
    other_sizes,
    tied,
)
from prelu_tools.commands.verify.inputs.trial_runs import Trial
from prelu_tools.core.domains import SizesTried
from prelu_tools.core.results.reasons import Reason

_COUNTS = (3, 1, 2, 2, 1, 3)  # rows at each other size
_MOST_RUNS = 40
_PATIENCE = 2  # how many of the other sizes may be rejected in all
_MOST_NAMED = 6


class OtherSizes:
    """Finds the sizes that the reference takes."""

    def __init__(self, drawer: Drawer, trial: Trial, number: int) -> None:
        """Take the drawer, the runner, and the number of the last run."""
        self._drawer = drawer
        self._trial = trial
        self._number = number
        self._refused: list[Sizes] = []
        self._tried: list[Sizes] = [drawer.free] if drawer.free else []
        self._steps: list[int] = []
        self._ties: tuple[bool, ...] = (False, True)
        self._most = trial.runs + _MOST_RUNS

    def runs(self, most: int) -> list[Feeds]:
        """Runs at other sizes, of at most so many rows each."""
        found: list[Feeds] = []
        for place, sizes in enumerate(other_sizes(self._drawer.free)):
            if place == _PATIENCE and not found:
                break
            run = self._taken(sizes, min(most, _COUNTS[place]))
            if run is not None:
                found.append(run)
        return found

    def _taken(self, sizes: Sizes, count: int) -> Feeds | None:
        """A run at these sizes, or else at the nearest ones that the reference takes."""
        usual = min(self._steps[-2:]) if len(self._steps) > 1 else 1
        for is_tied in self._ties:
            for step in (step for step in STEPS if step >= usual):
                near = coarser(tied(sizes) if is_tied else sizes, step)
                if not is_tied and n_different(near) < n_different(sizes):
                    continue  # whether they have to be equal is checked separately
                if near in self._tried or near in self._refused or self._trial.runs > self._most:
                    continue
                self._number += 1
                feeds = self._drawer.run(near, count, self._number)
                if self._trial.usable(feeds, self._drawer.rows) is None:
                    self._refused.append(near)
                    continue
                self._tried.append(near)
                self._steps.append(step)
                self._ties = (is_tied,)
                return feeds
        return None

    @property
    def record(self) -> SizesTried:
        """What was tried."""
        return SizesTried(tuple(self._tried), tuple(self._refused))

    def notes(self) -> list[Reason]:
        """The note on them, if the reference rejected any."""
        if not self._refused:
            return []
        refused = "; ".join(in_words(sizes) for sizes in self._refused[:_MOST_NAMED])
        more = len(self._refused) - _MOST_NAMED
        refused += f"; and {more} more" if more > 0 else ""
        text = f"sizes rejected by the reference: {refused}"
        return [Reason(text, "sizes_refused"), *self._one_size_only()]

    def _one_size_only(self) -> Iterator[Reason]:
        """A warning for sizes that are dynamic, but of which the reference took one value only."""
        for name, size in self._drawer.free.items():
            others = {one[name] for one in self._refused} - {size}
            if others and {one[name] for one in self._tried} == {size}:
                some = ", ".join(map(str, sorted(others)[:_MOST_NAMED]))
                yield Reason(
                    f"{name} is dynamic, but only {name}={size} was checked: the reference "
                    f"rejected every other size that was tried ({some})",
                    "sizes_not_checked",
                )
