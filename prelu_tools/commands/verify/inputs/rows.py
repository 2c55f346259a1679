"""Find the batch axis of each input: the same size, at whatever position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import Dim

_USUAL = "batch"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a model's inputs are."""

    axes: Mapping[str, int]
    """The batch axis of each input that has rows; the others are passed to every row whole."""
    names: frozenset[str]
    """The names of the size; none where the models fix it."""

    def count(self, feeds: Mapping[str, Array]) -> int:
        """How many rows a run has; 1 if no input has any."""
        return next(
            (values.shape[self.axes[name]] for name, values in feeds.items() if name in self.axes),
            1,
        )

    def take(self, feeds: Mapping[str, Array], rows: Sequence[int] | Array) -> Feeds:
        """A run of these rows."""
        return {
            name: np.take(values, rows, self.axes[name], mode="wrap")
            if name in self.axes
            else values
            for name, values in feeds.items()
        }


def mixed(rows: Rows, run: Feeds, other: Feeds, places: Array) -> Feeds:
    """A run of rows of two, the second ones counted on from the first."""
    return {
        name: np.take(np.concatenate([values, other[name]], axis), places, axis)
        if (axis := rows.axes.get(name)) is not None
        else values
        for name, values in run.items()
    }


def find_rows(shapes: Mapping[str, Sequence[Dim]]) -> Rows:
    """Find the rows of inputs of these shapes.

    A dynamic size counts the rows if it is called `batch`, otherwise if it is an input's first.
    Where it has a name, that is looked for on the other axes of the other inputs too: the states of
    an LSTM are [layers, batch, features]. Other first sizes that are dynamic are taken for the
    same, unless they stand next to it somewhere. A size that an input has twice counts the nodes of
    a graph, say, and no rows. Where no first size is dynamic, they all are of one batch.
    """
    twice = {size for shape in shapes.values() for size in shape if list(shape).count(size) > 1}
    first = [s[0] for s in shapes.values() if s and isinstance(s[0], str) and s[0] not in twice]
    every = [size for shape in shapes.values() for size in shape if size not in twice]
    name = _USUAL if _USUAL in every else next(iter(first), None)
    if name is None and twice.intersection(s[0] for s in shapes.values() if s):
        return Rows({}, frozenset())
    if name is None:
        return Rows({key: 0 for key, shape in shapes.items() if shape}, frozenset())
    beside = {size for shape in shapes.values() if name in shape for size in shape} - {name}
    axes: dict[str, int] = {}
    names = {name}
    for key, shape in shapes.items():
        if name in shape:
            axes[key] = list(shape).index(name)
        elif shape and shape[0] in first and shape[0] not in beside:
            axes[key] = 0
            names.add(shape[0])
    return Rows(axes, frozenset(names))
