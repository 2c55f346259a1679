"""The distribution of slopes: one scale for all layers, and the count in each cell.

The scale is that of the data. It always includes 0, where PReLU is ReLU, and it includes 1, where
PReLU is the identity, if slopes come near it. Outliers do not squeeze the rest: slopes more than a
span beyond the 1st and 99th percentiles (of fewer than a hundred slopes: beyond the second smallest
and the second largest) are off the scale, and counted in the outermost cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.prelu.statistics import quantile
from prelu_tools.core.results.inspection import LayerReport

_TAIL = 0.01
_FEW = 10  # of fewer slopes, none is an outlier
_NARROWEST = 0.01  # closer to 0 than that, slopes do what 0 does
_EMPTY = 1 / 3  # the share of the scale that may be empty so that 1 is on it
_APART = 0.1  # of the span, between the last slope on the scale and those that are off it
_ENOUGH = 65536  # slopes of one layer that are looked at to find the tails
_FARTHEST = 1e150  # beyond it a span would overflow


@dataclass(frozen=True)
class Scale:
    """A range of slopes."""

    low: float
    """Where it begins; 0 or less."""
    high: float
    """Where it ends; 0 or more."""
    cut_low: bool
    """Whether slopes are below it."""
    cut_high: bool
    """Whether slopes are above it."""

    @property
    def marks(self) -> tuple[float, ...]:
        """What to mark on it: 0, and 1 if it goes that far."""
        return (0.0, 1.0) if self.high >= 1 else (0.0,)

    def cell(self, value: float, n_cells: int) -> int:
        """The cell that a finite value falls into, from 0; the outermost one for what is beyond."""
        return int(self.cells(np.array([value]), n_cells)[0])

    def cells(self, values: Array, n_cells: int) -> IntArray:
        """The cell of each value; all values have to be finite."""
        share = (values - self.low) / (self.high - self.low)
        return np.floor(np.clip(share, 0.0, 1.0) * n_cells).clip(0, n_cells - 1).astype(np.int64)

    def counts(self, values: Array, n_cells: int) -> IntArray:
        """How many of the values fall into each cell; those that are not finite fall in none."""
        kept = values[np.isfinite(values)]
        return np.bincount(self.cells(kept, n_cells), minlength=n_cells)


def flat(report: LayerReport) -> Array:
    """A layer's slopes, flat, as float64."""
    return report.layer.slopes.reshape(-1).astype(np.float64)


def common_scale(reports: Iterable[LayerReport]) -> Scale:
    """The scale for all the slopes of these layers."""
    finite = [values[np.isfinite(values)] for values in map(flat, reports)]
    finite = [values for values in finite if values.size]
    if not finite:
        return Scale(0.0, 1.0, cut_low=False, cut_high=False)
    smallest = min(float(values.min()) for values in finite)
    largest = max(float(values.max()) for values in finite)
    inner_low, inner_high = _inner(finite)
    span = max(inner_high - inner_low, _NARROWEST)
    kept = [0.0]
    for values in finite:
        near = values[(values >= inner_low - span) & (values <= inner_high + span)]
        kept += [float(near.min()), float(near.max())] if near.size else []
    cut_low, cut_high = smallest < min(kept), largest > max(kept)
    low = min(kept) - _APART * span * cut_low
    high = max(max(kept) + _APART * span * cut_high, low + _NARROWEST)
    if high < 1 and 1 - high <= _EMPTY * (1 - low):
        high = 1.0
    return Scale(low, high, cut_low, cut_high)


def _inner(finite: Sequence[Array]) -> tuple[float, float]:
    """From where to where all but the outermost slopes and 0 are."""
    some = np.concatenate([values[:: -(-values.size // _ENOUGH)] for values in finite])
    some = some.clip(-_FARTHEST, _FARTHEST)
    tail = max(_TAIL, 1 / (some.size - 1)) if some.size >= _FEW else 0.0
    return min(0.0, quantile(some, tail)), max(0.0, quantile(some, 1 - tail))
