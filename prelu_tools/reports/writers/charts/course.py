"""The slopes of a layer over the points of a series, as a small drawing in SVG.

It needs no script, takes its colours from the page, and is as wide as there is room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesPoint
from prelu_tools.reports.document import Course
from prelu_tools.reports.shortening import breakable
from prelu_tools.reports.words import counted

WIDTH, HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 8, 22
MOST_LINES = 32
"""Slopes of a layer that have their own line; of more, some at even distances."""
_FARTHEST = 1e150  # beyond it a span would overflow


@dataclass(frozen=True)
class Frame:
    """Where points and slopes are in a drawing."""

    xs: tuple[float, ...]
    """The place of each point, from 0 to 1."""
    low: float
    """The slope at the lower edge."""
    high: float
    """The slope at the upper edge."""

    def x(self, place: int) -> float:
        """The horizontal position of a point."""
        return _LEFT + self.xs[place] * (WIDTH - _LEFT - _RIGHT)

    def y(self, slope: float) -> float:
        """The vertical position of a slope; at the edge of the drawing if it lies beyond."""
        part = (min(max(slope, self.low), self.high) - self.low) / (self.high - self.low)
        return _TOP + (1 - part) * (HEIGHT - _TOP - _BOTTOM)


def legend(layers: Iterable[LayerSeries]) -> str:
    """What the lines and the shades in the drawings of these layers are."""
    if not any(map(is_sample, layers)):
        return "bold: the median; thin: each slope"
    return (
        f"bold: the median; thin: up to {MOST_LINES} slopes per layer; shaded: from the smallest "
        "to the largest slope, where a layer has more"
    )


def is_sample(layer: LayerSeries) -> bool:
    """Whether not every slope has its own line; then the range of all is shaded."""
    return layer.first.slopes.size > MOST_LINES


def charts(course: Course) -> Iterator[str]:
    """A figure for each layer; of this size where no style sheet says another, as in a notebook."""
    xs = places_of(course.points)
    for layer in course.layers:
        size = counted(layer.last.statistics.count, "slope")
        text = f"{breakable(layer.name)} <span class='soft'>{size}</span>"
        drawn = "".join(_drawn(layer, course.points, xs))
        label = escape(f"Slopes of {layer.name} over {len(xs):,} points", quote=True)
        yield (
            f'<figure style="display:inline-block"><figcaption>{text}</figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="{label}">{drawn}</svg></figure>'
        )


def places_of(points: Sequence[SeriesPoint]) -> tuple[float, ...]:
    """Where each point is, from 0 to 1: by its step, or at even distances where one has none."""
    known = steps_of(points) or list(range(len(points)))
    span = (known[-1] - known[0]) or 1
    return tuple((step - known[0]) / span for step in known)


def steps_of(points: Sequence[SeriesPoint]) -> list[int] | None:
    """The steps of two points or more, if all are known and each is larger than the last."""
    steps = [point.step for point in points if point.step is not None]
    is_order = len(points) == len(steps) > 1 and steps == sorted(set(steps))
    return steps if is_order else None


def lines_of(layer: LayerSeries) -> list[Array]:
    """The course of single slopes, each with NaN if it is not known."""
    size = layer.first.slopes.size
    chosen = np.linspace(0, size - 1, min(size, MOST_LINES)).round().astype(np.int64)
    rows = [
        point.slopes[chosen].astype(np.float64)
        if point is not None and point.slopes.size == size
        else np.full(chosen.size, np.nan)
        for point in layer.points
    ]
    return list(np.stack(rows, axis=1))


def limits_of(layer: LayerSeries) -> tuple[float, float]:
    """The smallest and the largest finite slope of all points, with some room around."""
    kept = [point.slopes[np.isfinite(point.slopes)].astype(np.float64) for point in layer.present]
    values = np.concatenate(kept).clip(-_FARTHEST, _FARTHEST)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = 0.06 * (high - low) or max(abs(low) * 0.05, 0.01)
    return low - room, high + room


def _drawn(
    layer: LayerSeries, points: Sequence[SeriesPoint], xs: tuple[float, ...]
) -> Iterator[str]:
    frame = Frame(xs, *limits_of(layer))
    yield from _axes(frame, points)
    band = map(_extremes, layer.points if is_sample(layer) else ())
    known = [(place, ends) for place, ends in enumerate(band) if ends is not None]
    if known:
        upper = [(frame.x(place), frame.y(ends[1])) for place, ends in known]
        lower = [(frame.x(place), frame.y(ends[0])) for place, ends in reversed(known)]
        yield f'<polygon points="{_path([*upper, *lower])}" style="fill:{_BLUE};opacity:0.13"/>'
    for line in lines_of(layer):
        yield from _line(frame, line, f"stroke:{_BLUE};stroke-width:0.8;opacity:0.5")
    medians = [math.nan if p is None else _median(p.slopes) for p in layer.points]
    yield from _line(frame, np.array(medians), f"stroke:{_INK};stroke-width:1.8")


_BLUE, _INK = "var(--between, #1f77c0)", "var(--ink, #1b2430)"
_SOFT, _GRID, _MARK = "var(--soft, #5a6675)", "var(--grid, #e9edf1)", "var(--mark, #8492a3)"


def _axes(frame: Frame, points: Sequence[SeriesPoint]) -> Iterator[str]:
    text = f'style="fill:{_SOFT};font:10px system-ui, sans-serif"'
    for value in ticks(frame.low, frame.high):
        y = frame.y(value)
        colour = _MARK if value in (0.0, 1.0) else _GRID
        yield f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" style="stroke:{colour}"/>'
        yield f'<text x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end" {text}>{value:.6g}</text>'
    ends = ((0, "start"), (len(points) - 1, "end"))
    for place, anchor in ends[: len(points)]:
        name = points[place].name
        shown = escape(name if len(name) <= 22 else f"{name[:10]}…{name[-10:]}")
        yield (
            f'<text x="{frame.x(place):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}" {text}>'
            f"{shown}</text>"
        )


def ticks(low: float, high: float) -> list[float]:
    """Three to six round values between two."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step)
    found = [float(f"{(first + i) * step:.12g}") for i in range(8)]
    return [value for value in found if low <= value <= high]


def _extremes(point: LayerPoint | None) -> tuple[float, float] | None:
    finite = None if point is None else point.slopes[np.isfinite(point.slopes)]
    return None if finite is None or not finite.size else (float(finite.min()), float(finite.max()))


def _median(slopes: Array) -> float:
    finite = slopes[np.isfinite(slopes)]
    return float(np.median(finite)) if finite.size else math.nan


def _line(frame: Frame, values: Array, style: str) -> Iterator[str]:
    """A line through what is known, broken where it is not; a dot where nothing is next to it."""
    run: list[tuple[float, float]] = []
    for place, value in enumerate([*values.tolist(), math.nan]):
        if math.isfinite(value):
            run.append((frame.x(place), frame.y(value)))
            continue
        if run:
            wide = ";stroke-width:5" if len(run) == 1 else ""
            points = _path(run * 2 if wide else run)
            yield (
                f'<polyline points="{points}" '
                f'style="fill:none;stroke-linecap:round;{style}{wide}"/>'
            )
        run = []


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
