"""The distribution of slopes: one scale for all layers, and the count in each cell.

The scale always includes 0 (where PReLU is ReLU) and 1 (where it is the identity), so that layers,
models and pictures can be compared with each other. Outliers do not squeeze the rest: the scale
ends one span beyond the 1st and 99th percentiles, and slopes farther out are counted in the
outermost cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.prelu.statistics import quantile
from prelu_tools.core.results.inspection import LayerReport

_TAIL = 0.01
_ENOUGH = 65536  # slopes of one layer that are looked at to find the tails
_FARTHEST = 1e150  # beyond it a span would overflow


@dataclass(frozen=True)
class Scale:
    """A range of slopes."""

    low: float
    """Where it begins; 0 or less."""
    high: float
    """Where it ends; 1 or more."""
    cut_low: bool
    """Whether slopes are below it."""
    cut_high: bool
    """Whether slopes are above it."""

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
    some = np.concatenate([values[:: -(-values.size // _ENOUGH)] for values in finite])
    some = some.clip(-_FARTHEST, _FARTHEST)
    inner_low, inner_high = min(0.0, quantile(some, _TAIL)), max(1.0, quantile(some, 1 - _TAIL))
    span = inner_high - inner_low
    low = max(min(0.0, smallest), inner_low - span)
    high = min(max(1.0, largest), inner_high + span)
    return Scale(low, high, cut_low=smallest < low, cut_high=largest > high)
