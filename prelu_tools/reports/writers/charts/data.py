"""The data of a page's charts, reduced so that a large model stays a small page.

Numbers have six digits; values that are not finite are null, and counted. A layer with too many
slopes is divided into runs of neighbours, each with its minimum, mean and maximum.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.inspection import LayerReport
from prelu_tools.reports.distribution import Scale, common_scale, flat
from prelu_tools.reports.findings import by_severity
from prelu_tools.reports.views.inspect import MEANING

N_BINS = 40
"""Bars of a histogram."""
ROOM = 120_000
"""Numbers that the values of all layers may take together."""
FEWEST = 120
"""Numbers that each layer may take in any case."""
MOST_RUNS = 400
"""Runs that a layer is cut into at most: as many as a chart has room for."""


def chart_data(layers: Sequence[LayerReport]) -> dict[str, Any]:
    """Everything that the charts show, ready for JSON."""
    scale = common_scale(layers)
    room = max(FEWEST, ROOM // max(len(layers), 1))
    return {
        "scale": {**dataclasses.asdict(scale), "bins": N_BINS},
        "meanings": MEANING,
        "layers": [_layer(report, scale, room) for report in layers],
    }


def _layer(report: LayerReport, scale: Scale, room: int) -> dict[str, Any]:
    layer = report.layer
    stats = dataclasses.asdict(report.statistics)
    return {
        "name": layer.name,
        "nodes": list(layer.nodes),
        "parameter": layer.parameter,
        "form": layer.form,
        "sharing": layer.sharing,
        "shape": list(layer.stored_shape),
        "dtype": layer.dtype,
        "dims": [layer.slopes.shape[axis] for axis in layer.varying_axes],
        "statistics": {name: _rounded(value) for name, value in stats.items()},
        "health": list(report.health),
        "overhead": _rounded(layer.overhead_percent),
        "findings": [[one.severity, one.code] for one, _ in by_severity(report.findings)],
        "spread": _spread(report),
        "histogram": _histogram(flat(report), scale),
        "usage": _usage(report),
        **_values(report, room),
    }


def _spread(report: LayerReport) -> list[float | None]:
    """The smallest, the median and the largest of the slopes that are finite."""
    values = flat(report)
    values = values[np.isfinite(values)]
    if not values.size:
        return [None, None, None]
    return _list(np.array([values.min(), np.median(values), values.max()]))


def _histogram(values: Array, scale: Scale) -> dict[str, list[int]]:
    """How many slopes each bar holds: below 0, from 0 to 1, and above 1."""
    parts = {
        "below": values < 0,
        "between": (values >= 0) & (values <= 1),
        "above": values > 1,
    }
    return {name: scale.counts(values[kept], N_BINS).tolist() for name, kept in parts.items()}


def _usage(report: LayerReport) -> dict[str, Any] | None:
    usage = report.usage
    if usage is None:
        return None
    return {
        "negative": _rounded(float(usage.negative_share.mean())),
        "unused": len(usage.unused),
        "output": _rounded(usage.output_share),
    }


def _values(report: LayerReport, room: int) -> dict[str, Any]:
    """`values` one by one, or `low`, `mean` and `high` of runs of `per` neighbours."""
    values = flat(report)
    negative = None if report.usage is None else report.usage.negative_share.reshape(-1)
    of_each = 1 if negative is None else 2
    if values.size * of_each <= room:
        shares = None if negative is None else _list(negative)
        return {"per": 1, "values": _list(values), "negative": shares}
    n_runs = min(MOST_RUNS, room // (2 + of_each))
    per = -(-values.size // n_runs)
    starts = np.arange(0, values.size, per)
    finite = np.where(np.isfinite(values), values, np.nan)
    return {
        "per": per,
        "low": _list(np.fmin.reduceat(finite, starts)),
        "mean": _list(_means(finite, starts)),
        "high": _list(np.fmax.reduceat(finite, starts)),
        "negative": None if negative is None else _list(_means(negative, starts)),
    }


def _means(values: Array, starts: Array) -> Array:
    """The mean of each run, of what is a number in it; NaN if nothing is."""
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.int64), starts)
    with np.errstate(over="ignore"):
        sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _list(values: Array) -> list[Any]:
    return [_rounded(value) for value in values.tolist()]


def _rounded(value: float | None) -> float | None:
    """To six digits; whole numbers as they are, None if JSON has no number for it."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
