"""Run a reference once more, to observe what a record needs and a check does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.commands.verify.inputs.feeds import Feeds, n_values
from prelu_tools.commands.verify.reference.rebatching import WITHOUT_ROWS, rows_of
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.repeated import is_near
from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook

Call = tuple[str, int]
"""A layer's name, and which call of it."""
_NEAR = 1e-3  # relative to the largest value: the effect of another batch size


@dataclass
class Looked:
    """What was seen."""

    outputs: list[dict[str, Array]] = field(default_factory=list)
    """The outputs of each run, as the model returned them."""
    counts: list[dict[str, IntArray]] = field(default_factory=list)
    """For each run, layer and slope: the number of positions with a negative input."""
    output_axes: dict[str, int | None] = field(default_factory=dict)
    """The axis of the rows of each output, or `WITHOUT_ROWS`; None if they cannot be separated."""
    call_axes: dict[Call, int | None] = field(default_factory=dict)
    """The same for the outputs of each call."""


def look(reference: Reference, looked_at: int, stash: Stash) -> Looked:
    """Run all inputs again, and two rows alone.

    Args:
        reference: the reference, which was run.
        looked_at: the run whose layer inputs and outputs are kept.
        stash: takes that, as `x` and `y` in the place of a precision.
    """
    found = Looked()
    alone = _run_alone(reference)
    book = CoverageBook(())
    run = 0

    def observe(layer: str, call: int, x: Array, y: Array) -> None:
        book.note(layer, x)
        if run == looked_at:
            stash.put(("x", run, layer, call), x)
            stash.put(("y", run, layer, call), y)
        if alone is not None and run == alone.run:
            found.call_axes[layer, call] = alone.axis(
                y, [c.get((layer, call)) for c in alone.calls]
            )

    with reference.source.runner(observe) as runner:
        for run in range(len(reference.feeds)):
            book = CoverageBook(reference.layers)
            found.outputs.append(runner.run(reference.feeds[run]))
            found.counts.append({layer.name: book.counts(layer.name) for layer in reference.layers})
    if alone is not None:
        for name, values in found.outputs[alone.run].items():
            found.output_axes[name] = alone.axis(values, [o.get(name) for o in alone.outputs])
    return found


@dataclass
class _Alone:
    """Rows of a run, each run alone."""

    run: int
    count: int
    rows: tuple[int, ...]
    outputs: list[dict[str, Array]] = field(default_factory=list)
    calls: list[dict[Call, Array]] = field(default_factory=list)

    def axis(self, values: Array, alone: Sequence[Array | None]) -> int | None:
        """The axis of the rows, as far as each row gives the same result alone."""
        known = [one for one in alone if one is not None]
        if len(known) < len(self.rows):
            return None
        if all(is_near(values, one, _NEAR) for one in known):
            return WITHOUT_ROWS
        for axis in range(values.ndim):
            if self._lie_along(axis, values, known):
                return axis
        return None

    def _lie_along(self, axis: int, values: Array, alone: Sequence[Array]) -> bool:
        wanted = list(values.shape)
        if wanted[axis] % self.count:
            return False
        wanted[axis] //= self.count
        return all(
            list(one.shape) == wanted
            and is_near(rows_of(values, axis, self.count, [row]), one, _NEAR)
            for row, one in zip(self.rows, alone, strict=True)
        )


def _run_alone(reference: Reference) -> _Alone | None:
    """Run the first and the last row of a batch alone; None if a batch cannot be split."""
    rows = reference.rows
    several = [r for r, feeds in enumerate(reference.feeds) if rows.count(feeds) > 1]
    if not rows.names or not several:
        return None
    run = several[0]
    count = rows.count(reference.feeds[run])
    found = _Alone(run, count, (0, count - 1))
    calls: dict[Call, Array] = {}

    def observe(layer: str, call: int, _x: Array, y: Array) -> None:
        calls[layer, call] = np.array(y)

    with reference.source.runner(observe) as runner:
        for row in found.rows:
            calls = {}
            found.outputs.append(runner.run(rows.take(reference.feeds[run], [row])))
            found.calls.append(calls)
    return found


def smallest(feeds: Sequence[Feeds]) -> list[int]:
    """The runs, small ones first."""
    return sorted(range(len(feeds)), key=lambda run: (n_values(feeds[run]), run))


def n_bytes(arrays: Mapping[str, Array]) -> int:
    """The total size of arrays."""
    return sum(values.nbytes for values in arrays.values())
