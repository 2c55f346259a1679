"""Settle what a check is run on: what the reference takes is found out with it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from prelu_tools.backends.interface import Runner, Source
from prelu_tools.commands.drawing import Drawer, DrawPlan, Others, known_shapes, of_one_batch
from prelu_tools.commands.feeds import Feeds
from prelu_tools.commands.rows import Rows
from prelu_tools.commands.sizes import (
    STEPS,
    Sizes,
    coarser,
    in_words,
    n_different,
    other_sizes,
    tied,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import SizesTried

_COUNTS = (3, 1, 2, 2, 1, 3)  # rows at each of the other sizes
_MOST_RUNS = 40
_PATIENCE = 2  # of the other sizes so many may be refused altogether
_MOST_NAMED = 6


@dataclass
class Settled:
    """The inputs of a check."""

    feeds: list[Feeds]
    """One a run."""
    rows: Rows
    """Where their rows are."""
    sizes: SizesTried
    """The sizes of free axes."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of them."""


class Trial:
    """Runs the reference alone, to see what it takes."""

    def __init__(self, source: Source) -> None:
        """Take it; it is opened when it is first run."""
        self._source = source
        self._stack = ExitStack()
        self._runner: Runner | None = None
        self.runs = 0
        self.error: PReLUToolsError | None = None

    def outputs(self, feeds: Feeds) -> dict[str, Array] | None:
        """What it gives; None where it refuses, and why in `error`."""
        self.runs += 1
        try:
            if self._runner is None:
                self._runner = self._stack.enter_context(self._source.runner())
            return self._runner.run(feeds)
        except PReLUToolsError as error:
            self.error = error
            return None

    def takes(self, runs: Sequence[Feeds]) -> bool:
        """Whether it takes all of them."""
        return all(self.outputs(feeds) is not None for feeds in runs)

    def close(self) -> None:
        """Let go of what was opened."""
        self._stack.close()


@contextmanager
def trying(source: Source) -> Iterator[Trial]:
    """A trial, which is closed after the block."""
    trial = Trial(source)
    try:
        yield trial
    finally:
        trial.close()


def settle(source: Source, others: Others, plan: DrawPlan) -> Settled:
    """Draw inputs that the reference takes.

    A size that any of the models fixes is kept. Else `samples` rows are run in one batch, the first
    of them again alone, and a few at other sizes, smaller and larger, odd and even. Sizes that the
    reference refuses are replaced by multiples of 2, 4, ..., or by equal ones.

    Args:
        source: the reference.
        others: the candidates.
        plan: what to draw.

    Raises:
        PReLUToolsError: a model fixes a batch of no rows.
    """
    specs = source.inputs()
    shapes = known_shapes(specs, others)
    drawer = Drawer(specs, shapes, plan)
    with trying(source) as trial:
        fixed = of_one_batch(shapes)
        feeds = drawer.usual()
        if drawer.rows.names and fixed is not None and not trial.takes(feeds[:2]):
            drawer = Drawer(specs, fixed, plan)
            feeds = drawer.usual()
        sizes = _Sizes(drawer, trial, len(feeds))
        feeds += sizes.runs(min(3, plan.samples))
        return Settled(feeds, drawer.rows, sizes.record, sizes.notes())


class _Sizes:
    """Finds the sizes that the reference takes."""

    def __init__(self, drawer: Drawer, trial: Trial, number: int) -> None:
        self._drawer = drawer
        self._trial = trial
        self._number = number
        self._refused: list[Sizes] = []
        self._tried: list[Sizes] = [drawer.free] if drawer.free else []
        self._steps: list[int] = []
        self._ties: tuple[bool, ...] = (False, True)

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
                    continue  # whether they have to be equal is another question
                if near in self._tried or near in self._refused or self._trial.runs > _MOST_RUNS:
                    continue
                self._number += 1
                feeds = self._drawer.run(near, count, self._number)
                if self._trial.outputs(feeds) is None:
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

    def notes(self) -> list[str]:
        """What to say of them: something where the reference refused any."""
        if not self._refused:
            return []
        tried = "; ".join(in_words(sizes) for sizes in self._tried)
        refused = "; ".join(in_words(sizes) for sizes in self._refused[:_MOST_NAMED])
        more = len(self._refused) - _MOST_NAMED
        refused += f"; and {more} more" if more > 0 else ""
        return [f"sizes tried: {tried}; refused by the reference: {refused}"]
