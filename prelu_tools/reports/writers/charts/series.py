"""The slopes of each layer over the points of a series, as one figure of small charts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.series import LayerSeries, SeriesResult
from prelu_tools.reports.shortening import distinct, shortened
from prelu_tools.reports.words import counted
from prelu_tools.reports.writers.charts.course import LEGEND, limits_of, lines_of, places_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_LAYERS, _MOST_COLUMNS, _MOST_TICKS = 30, 3, 5
_BLUE, _INK, _RED = "#0072b2", "#1b2430", "#d55e00"


def series_figure(result: SeriesResult) -> Figure:
    """The figure, in matplotlib's settings of the moment.

    If there are more than thirty layers, those whose slopes moved most are drawn.
    """
    from matplotlib.figure import Figure

    layers = _chosen(result)
    columns = min(_MOST_COLUMNS, max(1, len(layers)))
    rows = max(1, math.ceil(len(layers) / columns))
    size = (max(5.0, 3.4 * columns), 0.7 + 2.3 * rows)
    made = Figure(figsize=size, layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False).reshape(-1)
    names = distinct([layer.name for layer in layers], 34)
    for axes, layer in zip(grid, layers, strict=False):
        _draw(axes, result, layer, names[layer.name])
    for axes in grid[len(layers) :]:
        axes.set_axis_off()
    shown = counted(len(result.layers), "PReLU layer")
    if len(layers) < len(result.layers):
        shown = f"the {len(layers)} that moved most of {shown}"
    made.suptitle(f"{shortened(result.path, 60)}: {shown}", x=0.01, ha="left", fontsize=11)
    made.supxlabel(LEGEND, x=0.01, ha="left", fontsize=8, color="#5a6675")
    return made


def _chosen(result: SeriesResult) -> list[LayerSeries]:
    layers = list(result.layers)
    if len(layers) <= _MOST_LAYERS:
        return layers
    order = sorted(layers, key=lambda layer: -layer.last.movement.from_start)
    kept = {id(layer) for layer in order[:_MOST_LAYERS]}
    return [layer for layer in layers if id(layer) in kept]


def _draw(axes: Axes, result: SeriesResult, layer: LayerSeries, name: str) -> None:
    xs = np.array(places_of(result.points))
    low, high = limits_of(layer)
    axes.set_ylim(low, high)
    for value in (0.0, 1.0):
        if low < value < high:
            axes.axhline(value, color="#888888", linewidth=0.8, zorder=1)
    for line in lines_of(layer):
        axes.plot(xs, line, color=_BLUE, linewidth=0.8, alpha=0.55, zorder=2)
    known = [(x, p) for x, p in zip(xs, layer.points, strict=True) if p is not None]
    finite = [(x, p.slopes[np.isfinite(p.slopes)]) for x, p in known]
    finite = [(x, slopes) for x, slopes in finite if slopes.size]
    if finite:
        places = [x for x, _ in finite]
        ends = [(slopes.min(), slopes.max(), np.median(slopes)) for _, slopes in finite]
        lows, highs, medians = zip(*ends, strict=True)
        axes.fill_between(places, lows, highs, color=_BLUE, alpha=0.12, linewidth=0, zorder=1)
        axes.plot(places, medians, color=_INK, linewidth=1.8, zorder=3)
    words = [word for word in layer.trends if word != "outside_range"]
    axes.set_title(name, loc="left", fontsize=9)
    if words:
        axes.set_title(", ".join(words), loc="right", fontsize=8, color=_RED)
    _ticks(axes, result, xs)


def _ticks(axes: Axes, result: SeriesResult, xs: Array) -> None:
    last = len(xs) - 1
    wanted = np.unique(np.linspace(0, last, min(len(xs), _MOST_TICKS)).round().astype(int))
    names = [shortened(result.points[place].name, 14) for place in wanted]
    steps = [result.points[place].step for place in wanted]
    if None not in steps:
        names = [f"{step:,}" for step in steps]
        axes.set_xlabel(_unit(result), fontsize=8)
    axes.set_xticks(xs[wanted], names)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _unit(result: SeriesResult) -> str:
    """What the steps are: `epoch` where the points are called so."""
    word, _, number = result.points[0].name.partition(" ")
    return word if number.isdigit() else "step"
