"""The runs of a record at the sizes that candidates fix: unchanged, or rebatched.

A file that was exported for a batch of one gets each row of a recorded batch separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.protocol.recording import RecordedRun, Recording
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.reference.repeated import is_first_row
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import Dim

WITHOUT_ROWS = -1
"""In place of an axis: the tensor has no rows, and is the same for every batch."""


@dataclass(frozen=True)
class Part:
    """A run of a record, or a batch of its rows."""

    number: int
    """Which run of the record it is of."""
    run: RecordedRun
    """That run."""
    feeds: Feeds
    """The inputs of the part."""
    is_first: bool
    """Whether it is the first part of its run."""
    count: int = 0
    """Rows of the whole run; 0 if the part is all of it."""
    places: tuple[int, ...] = ()
    """Which of these rows it has."""

    def take(self, values: Array, axis: int | None) -> Array | None:
        """A tensor of the run, for the part alone; None if its rows cannot be separated.

        Args:
            values: of the whole run.
            axis: of the batch, or `WITHOUT_ROWS`; None if it is not known.
        """
        if not self.count or axis == WITHOUT_ROWS:
            return values
        size = values.shape[axis] if axis is not None and 0 <= axis < values.ndim else 0
        if axis is None or not size or size % self.count:
            return None
        return rows_of(values, axis, self.count, self.places)


def rows_of(values: Array, axis: int, count: int, places: Sequence[int]) -> Array:
    """Rows of a tensor in which each of `count` rows has an equal share of an axis."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    share = values.shape[axis] // count
    rows = values.reshape(*before, count, share, *after).take(places, axis)
    return rows.reshape(*before, len(places) * share, *after)


def parts_of(
    recording: Recording, runs: Sequence[Feeds], shapes: Mapping[str, Sequence[Dim]]
) -> Iterator[Part]:
    """The runs that fit, whole or in parts; those that do not are left out.

    Args:
        recording: the record.
        runs: the inputs of its runs.
        shapes: those of the inputs, with the sizes that any of the models fixes.
    """
    axes = recording.row_axes
    known = all(facts.row_axis is not None for facts in recording.outputs.values())
    rows = Rows(axes, recording.row_names)
    repeats = len(runs) > 1 and is_first_row(runs[1], runs[0], rows)
    batched: set[int] = set()
    for number, (run, feeds) in enumerate(zip(recording.runs, runs, strict=True)):
        wrong = [
            (name, axis)
            for name, values in feeds.items()
            for axis, size in enumerate(shapes[name])
            if isinstance(size, int) and size != values.shape[axis]
        ]
        if number == 1 and repeats and 0 in batched:
            continue  # it is a row of the run before
        if not wrong:
            yield Part(number, run, feeds, True)
        elif known and recording.row_names and all(axes.get(name) == axis for name, axis in wrong):
            name, axis = wrong[0]
            batched.add(number)
            yield from _batches(number, run, feeds, axes, int(shapes[name][axis]))


def _batches(
    number: int, run: RecordedRun, feeds: Feeds, axes: Mapping[str, int], size: int
) -> Iterator[Part]:
    count = next(values.shape[axes[name]] for name, values in feeds.items() if name in axes)
    for first in range(0, count, size):
        places = tuple((first + row) % count for row in range(size))
        taken = {
            name: np.take(values, places, axes[name]) if name in axes else values
            for name, values in feeds.items()
        }
        yield Part(number, run, taken, first == 0, count, places)
