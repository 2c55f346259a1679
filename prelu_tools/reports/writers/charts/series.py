"""The slopes of each layer over the points of a series, as one figure of small charts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.series import LayerSeries, SeriesResult
from prelu_tools.reports.shortening import distinct, shortened
from prelu_tools.reports.words import counted
from prelu_tools.reports.writers.charts.course import (
    is_sample,
    legend,
    limits_of,
    lines_of,
    places_of,
    steps_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_LAYERS, _MOST_COLUMNS = 30, 3
_MOST_TICKS, _ROOM = 5, 30  # what is written below a chart: numbers or names, and letters
_LONGEST_TITLE = 38
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
    names = distinct([layer.name for layer in layers], _LONGEST_TITLE)
    for axes, layer in zip(grid, layers, strict=False):
        _draw(axes, result, layer, names[layer.name])
    for axes in grid[len(layers) :]:
        axes.set_axis_off()
    shown = counted(len(result.layers), "PReLU layer")
    if len(layers) < len(result.layers):
        shown = f"the {len(layers):,} that moved most of {shown}"
    made.suptitle(f"{shortened(result.path, 60)}: {shown}", x=0.01, ha="left", fontsize=11)
    said = textwrap.fill(legend(layers), int(17 * size[0]))
    made.supxlabel(said, x=0.01, ha="left", fontsize=8, color="#5a6675")
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
        if is_sample(layer):
            axes.fill_between(places, lows, highs, color=_BLUE, alpha=0.12, linewidth=0, zorder=1)
        axes.plot(places, medians, color=_INK, linewidth=1.8, zorder=3)
    words = [word for word in layer.trends if word != "outside_range"]
    said = ", ".join(words)
    axes.set_title(shortened(name, _LONGEST_TITLE - len(said)), loc="left", fontsize=9)
    axes.set_title(said, loc="right", fontsize=8, color=_RED)
    _ticks(axes, result, xs)


def _ticks(axes: Axes, result: SeriesResult, xs: Array) -> None:
    steps = steps_of(result.points)
    if steps is not None:
        shown = _round_steps(steps)
        places = np.interp(shown, steps, xs)
        axes.set_xticks(places, [f"{step:,}" for step in shown])
        axes.set_xlabel(_unit(result), fontsize=8)
    else:
        names = [shortened(point.name, 14) for point in result.points]
        if sum(map(len, names)) > _ROOM:
            names[1:-1] = [""] * len(names[1:-1])
        axes.set_xticks(xs, names)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _round_steps(steps: Sequence[int]) -> list[int]:
    """All of a few steps at even distances; else round numbers between the first and the last."""
    few = len(steps) <= 2 * _MOST_TICKS and sum(len(f"{step:,} ") for step in steps) <= _ROOM
    if few and len(set(np.diff(steps).tolist())) == 1:
        return list(steps)
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(_MOST_TICKS, integer=True, steps=[1, 2, 5, 10]).tick_values(
        steps[0], steps[-1]
    )
    return [round(step) for step in found if steps[0] <= step <= steps[-1]]


def _unit(result: SeriesResult) -> str:
    """What the steps are: `epoch` where the points are called so; else they count checkpoints."""
    word, _, number = result.points[0].name.partition(" ")
    return word if number.isdigit() else "checkpoint"
