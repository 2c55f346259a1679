"""The slopes of a model by depth, as one figure: what was learned where.

The same result gives the same bytes: the jitter is seeded, and no date is stored.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError
from prelu_tools.core.results.inspection import InspectResult, LayerReport
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.reports.distribution import Scale, common_scale, flat
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.shortening import distinct, shortened
from prelu_tools.reports.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

SUFFIXES = (".png", ".svg")
"""What a figure can be written as."""

# The word that a layer is coloured by is the first of these that it has.
_HEALTH = {
    "non_finite": "#000000",
    "at_init": "#8c8c8c",
    "relu_like": "#b58900",
    "identity_like": "#56b4e9",
    "uniform": "#009e73",
    "sign_flipping": "#d55e00",
    "expansive": "#a3509c",
    "leaky": "#0072b2",
}
_SAYS = {
    "non_finite": "some NaN or infinite",
    "at_init": "as at the start of training",
    "relu_like": "all close to 0",
    "identity_like": "all close to 1",
    "uniform": "all equal",
    "sign_flipping": "some below 0",
    "expansive": "some above 1",
    "leaky": "all between 0 and 1",
}
_NO_WORD = "#5b6770"
_MARKS = {0.0: "0: ReLU", 1.0: "1: identity"}
_MOST_POINTS, _FEWEST_A_LAYER = 6000, 20
_MOST_NAMES, _LONGEST_NAME, _UPRIGHT_FROM = 80, 28, 15
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "prelu-tools",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "axes.unicode_minus": False,
}


def draw(result: InspectResult | SeriesResult, suffix: str) -> bytes:
    """The figure as a file of the format of `suffix`, one of `SUFFIXES`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib import style
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "plot", "to draw a figure") from error
    out = io.BytesIO()
    metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
    with style.context("default"), matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        made = _figure(cleaned(result, LONGEST))
        made.savefig(out, format=suffix[1:], dpi=150, metadata=metadata)
    return out.getvalue()


def _figure(result: InspectResult | SeriesResult) -> Figure:
    if isinstance(result, InspectResult):
        return figure(result)
    from prelu_tools.reports.writers.charts.series import series_figure

    return series_figure(result)


def _width(n_layers: int) -> float:
    """The width of the figure in inches."""
    return float(np.clip(4.0 + 0.25 * n_layers, 7.0, 16.0))


def figure(result: InspectResult) -> Figure:
    """The figure itself, in matplotlib's settings of the moment."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(_width(len(result.layers)), 6.0), layout="constrained")
    axes = made.add_subplot()
    scale = common_scale(result.layers)
    margin = 0.04 * (scale.high - scale.low)
    axes.set_ylim(scale.low - margin, scale.high + margin)
    for value in scale.marks:
        axes.axhline(value, color="#444444", linewidth=0.9, zorder=1, gid=f"line-{value:g}")
        axes.annotate(
            _MARKS[value],
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#444444",
        )
    random = np.random.default_rng(0)
    for position, report in enumerate(result.layers):
        points = _spread(report, len(result.layers), random)
        _layer(axes, position, report, scale, points, _room(len(result.layers)))
    _label(axes, result)
    _legend(made, result.layers)
    return made


def _spread(report: LayerReport, n_layers: int, random: np.random.Generator) -> Array:
    """A layer's points: its slopes, or as many of them, evenly by size, as there is room for."""
    values = np.sort(flat(report)[np.isfinite(flat(report))])
    room = max(_FEWEST_A_LAYER, _MOST_POINTS // n_layers)
    if values.size > room:
        values = values[np.linspace(0, values.size - 1, room).round().astype(np.int64)]
    offsets = random.uniform(-0.26, 0.26, values.size) if values.size > 1 else np.zeros(values.size)
    return np.stack([offsets, values])


def _room(n_layers: int) -> float:
    """What one layer has of the width, in points (a 72nd of an inch)."""
    return 72.0 * (_width(n_layers) - 1.5) / max(n_layers, 3)


def word_of(report: LayerReport) -> str | None:
    """The word of its health that a layer is coloured by; None if it has none."""
    return next((word for word in _HEALTH if word in report.health), None)


def _layer(
    axes: Axes, position: int, report: LayerReport, scale: Scale, points: Array, room: float
) -> None:
    colour = _HEALTH.get(word_of(report) or "", _NO_WORD)
    offsets, values = points
    if not values.size:
        return
    inside = (values >= scale.low) & (values <= scale.high)
    size = float(np.clip(min(50.0 / np.sqrt(values.size), 0.22 * room), 1.2, 7.0))
    size = max(size, 3.5) if values.size == 1 else size
    axes.plot(
        position + offsets[inside],
        values[inside],
        linestyle="none",
        marker="o",
        markersize=size,
        markeredgewidth=0,
        color=colour,
        alpha=0.9 if values.size == 1 else 0.4,
        zorder=2,
    )
    for beyond, edge, marker in (
        (values < scale.low, scale.low, "v"),
        (values > scale.high, scale.high, "^"),
    ):
        if beyond.any():
            axes.plot([position], [edge], marker=marker, markersize=7, color=colour, zorder=4)
    if values.size > 1:
        finite = flat(report)[np.isfinite(flat(report))]
        _box(axes, position, finite, colour, float(np.clip(room / 20.0, 0.35, 1.0)))


def _box(axes: Axes, position: int, values: Array, colour: str, weight: float) -> None:
    """The middle half of the slopes, their median, and a line from the smallest to the largest."""
    low, first, middle, third, high = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
    axes.vlines(position, low, high, color=colour, linewidth=weight, zorder=3)
    axes.bar(
        position,
        third - first,
        bottom=first,
        width=0.62,
        facecolor="none",
        edgecolor=colour,
        linewidth=1.2 * weight,
        zorder=3,
    )
    axes.hlines(
        middle, position - 0.31, position + 0.31, color=colour, linewidth=2.4 * weight, zorder=4
    )


def _label(axes: Axes, result: InspectResult) -> None:
    reports = result.layers
    n_layers = len(reports)
    places = range(0, n_layers, -(-n_layers // _MOST_NAMES) or 1)
    full = [reports[place].layer.name for place in places]
    short = distinct(full, _LONGEST_NAME)
    names = [short[name] for name in full]
    axes.set_xticks(places, names, fontsize=8)
    if n_layers >= _UPRIGHT_FROM:
        axes.tick_params(axis="x", rotation=90)
    elif sum(map(len, names)) > 9 * _width(n_layers):
        axes.set_xticks(places, names, fontsize=8, rotation=25, ha="right", rotation_mode="anchor")
    around = max(0.6, (3 - n_layers) / 2)
    axes.set_xlim(-around, max(n_layers, 1) - 1 + around)
    axes.set_ylabel("slope (box: the middle half; bar: the median)")
    n_slopes = sum(report.statistics.count for report in reports)
    axes.set_title(f"{shortened(result.path, 60)}: {counted(n_slopes, 'slope')}", loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _beyond(reports: Sequence[LayerReport]) -> list[Line2D]:
    """What the triangles stand for."""
    from matplotlib.lines import Line2D

    scale, found = common_scale(reports), []
    values = np.concatenate([np.zeros(0), *map(flat, reports)])
    values = values[np.isfinite(values)]
    for outside, marker, how_far in (
        (values[values < scale.low], "v", "down"),
        (values[values > scale.high], "^", "up"),
    ):
        if outside.size:
            extreme = outside.max() if how_far == "up" else outside.min()
            label = f"slopes outside the axis, {how_far} to {extreme:.3g}"
            found.append(
                Line2D([], [], color=_NO_WORD, linestyle="none", marker=marker, label=label)
            )
    return found


def _legend(figure: Figure, reports: Sequence[LayerReport]) -> None:
    from matplotlib.lines import Line2D

    present = [word for word in _HEALTH if any(word_of(report) == word for report in reports)]
    handles = [
        Line2D([], [], color=_HEALTH[word], linewidth=3, label=f"{word}: {_SAYS[word]}")
        for word in present
    ]
    handles += _beyond(reports)
    if handles:
        columns = max(1, int(_width(len(reports)) / 2.6))
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(columns, len(handles)),
            frameon=False,
            fontsize=8,
        )
