"""The report of `inspect --series`: how the slopes of each layer moved."""

from __future__ import annotations

import math

import numpy as np

from prelu_tools.core.prelu.movement import HIGHEST, LOWEST
from prelu_tools.core.results.series import LayerSeries, SeriesResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import (
    Block,
    Column,
    Course,
    Facts,
    Lines,
    Name,
    Section,
    Table,
)
from prelu_tools.reports.findings import in_words, sentences
from prelu_tools.reports.views.inspect import MEANING
from prelu_tools.reports.words import counted, moved, number

_MEANING = {
    **MEANING,
    "not_moving": "no slope has moved",
    "pulled_to_zero": "the mean size falls all the time",
    "outside_range": f"some slopes below {LOWEST:g} or above {HIGHEST:g}",
    "diverging": "NaN or infinite slopes, or slopes that move farther and farther outside",
}
"""What the words of trends and of health mean."""
_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 16


def view(result: SeriesResult, style: Style) -> Section:
    """The document of a series."""
    names = [layer.name for layer in result.layers]
    blocks: list[Block] = []
    if result.notes:
        blocks.append(Lines(result.notes))
    if result.layers:
        blocks.append(Course(_table(result), result.points, result.layers))
        words = {layer.name: _words(layer) for layer in result.layers}
        blocks.append(in_words(words, _MEANING, result.findings))
    if style.slopes:
        blocks += [_values(result, layer) for layer in result.layers]
    return Section(
        (Name(result.path),),
        tuple(blocks),
        headline=_headline(result),
        reasons=sentences(result.findings, names),
    )


def _headline(result: SeriesResult) -> str:
    names = [point.name for point in result.points]
    n_slopes = sum(layer.last.statistics.count for layer in result.layers)
    return (
        f"{counted(len(names), 'point')}, {names[0]} to {names[-1]};\n"
        f"{counted(len(result.layers), 'PReLU layer')}, {counted(n_slopes, 'slope')}"
    )


def _table(result: SeriesResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("slopes"),
        Column("first\nmean"),
        Column("last\nmean"),
        Column("mean\nover time", "text", needed=False, drawn=True),
        Column("last\nmin"),
        Column("last\nmax"),
        Column("moved", meaning="largest distance of a slope from its first value, at any point"),
        Column("sign\nchanges", meaning="how often a sign changed, over all slopes and points"),
        Column("unmoved", meaning="slopes that had their first value at every point"),
    )
    return Table(columns, tuple(_row(layer) for layer in result.layers))


def _row(layer: LayerSeries) -> tuple[str, ...]:
    first, last = layer.first, layer.last
    return (
        Name(layer.name),
        f"{last.statistics.count:,}",
        number(first.statistics.mean),
        number(last.statistics.mean),
        _bars(layer),
        number(last.statistics.min),
        number(last.statistics.max),
        moved(layer.farthest),
        f"{layer.n_sign_changes:,}",
        f"{last.movement.n_unmoved:,}",
    )


def _bars(layer: LayerSeries) -> str:
    """The mean at each point as a bar; of many points, of some at even distances."""
    means = [math.nan if point is None else point.statistics.mean for point in layer.points]
    if len(means) > _MOST_BARS:
        means = [means[i] for i in np.linspace(0, len(means) - 1, _MOST_BARS).round().astype(int)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    if not low < high:
        return "".join(_BARS[3] if math.isfinite(mean) else " " for mean in means)
    top = len(_BARS) - 1
    return "".join(
        _BARS[round((mean / 2 - low / 2) / (high / 2 - low / 2) * top)]
        if math.isfinite(mean)
        else " "
        for mean in means
    )


def _words(layer: LayerSeries) -> tuple[str, ...]:
    """Its trends, and its health at the end."""
    return tuple(dict.fromkeys((*layer.trends, *layer.last.health)))


def _values(result: SeriesResult, layer: LayerSeries) -> Facts:
    pairs = zip(result.points, layer.points, strict=True)
    return Facts(
        tuple(
            (f"{layer.name}, {point.name}", ", ".join(f"{value:.6g}" for value in seen.slopes))
            for point, seen in pairs
            if seen is not None
        )
    )
