"""What data does in each layer: how often it takes the negative branch, and with what share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.commands.verify.inputs.feeds import replay_feeds
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.inspection import LayerUsage
from prelu_tools.graph.match.layers import LocatedLayer

_ROWS = 16  # rows per run, so that memory does not grow with the data


def layer_usage(
    source: OnnxGraph, layers: Sequence[LocatedLayer], path: Path
) -> tuple[LayerUsage | None, ...]:
    """Run a model on the arrays of an `.npz` file and observe the inputs of each layer.

    None stands for a layer that cannot be looked at as it runs (see `taps_of`), or never ran.

    Raises:
        UsageError: the file lacks an input.
        PReLUToolsError: the file cannot be read, or the model does not run on it.
    """
    feeds = replay_feeds(path, source.inputs())[0]
    totals = {located.layer.name: _Total(located) for located in layers}
    if source.can_be_watched:
        session = source.tapped("cpu")
        for part in _parts(feeds, source):
            session.run(part, lambda layer, _call, x, _y: totals[layer].add(x))
    return tuple(total.usage() for total in totals.values())


def _parts(feeds: Mapping[str, Array], source: OnnxGraph) -> list[dict[str, Array]]:
    """The data in pieces of a few rows, where every input has a dynamic batch."""
    specs = source.inputs()
    sizes = {len(array) for array in feeds.values() if array.ndim}
    if len(sizes) != 1 or any(isinstance(spec.shape[0], int) for spec in specs if spec.shape):
        return [dict(feeds)]
    size = sizes.pop()
    if size == 0:
        raise PReLUToolsError("the data has no rows: expected at least one")
    starts = range(0, size, _ROWS)
    return [{name: array[i : i + _ROWS] for name, array in feeds.items()} for i in starts]


class _Total:
    """Sums over the runs of one layer."""

    def __init__(self, located: LocatedLayer) -> None:
        self._located = located
        self._slopes = located.layer.slopes
        self._negative = np.zeros(self._slopes.shape)
        self._count = 0
        self._carried = 0.0
        self._output = 0.0

    def add(self, x: Array) -> None:
        """Add the input of one call."""
        slopes = self._located.layer.slopes.astype(np.float64)
        carried = np.where(x < 0, np.abs(slopes * x), 0.0)
        self._carried += float(carried.sum())
        self._output += float(carried.sum() + np.where(x > 0, x, 0.0).sum())
        if x.ndim == self._slopes.ndim:
            axes = tuple(a for a, size in enumerate(self._slopes.shape) if size == 1)
            self._negative += (x < 0).sum(axis=axes, keepdims=True)
            self._count += x.size // self._slopes.size

    def usage(self) -> LayerUsage | None:
        """The shares; None if nothing was seen."""
        if self._count == 0:
            return None
        share = frozen((self._negative / self._count).reshape(-1))
        return LayerUsage(share, self._carried / self._output if self._output else 0.0)
