"""The report of `inspect A B`: both models, and a row for each layer."""

from __future__ import annotations

from collections.abc import Iterator

from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.inspection import InspectResult, LayerReport
from prelu_tools.core.results.reasons import VALUES_DIFFER, code_of
from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesPoint
from prelu_tools.reports import Style
from prelu_tools.reports.document import Block, Column, Course, Facts, Name, Section, Table, Word
from prelu_tools.reports.words import counted, moved, n_slopes, origin, placed

_ABSENT = "the slopes cannot be compared one by one"


def view(result: CompareResult, style: Style) -> Section:
    """The document of a comparison."""
    title = (Name(result.left.path), " -> ", Name(result.right.path))
    models = Facts((("before", _model(result.left)), ("after", _model(result.right))))
    changes: tuple[Block, ...] = ()
    if result.changes:
        paths = (result.left.path, result.right.path)
        points = tuple(SeriesPoint(path, path, step) for step, path in enumerate(paths))
        changes = (Course(_changes(result), points, tuple(_layers(result))),)
    return Section(title, (models, *changes), headline=_summary(result))


def _layers(result: CompareResult) -> Iterator[LayerSeries]:
    """Each layer before and after, as a series of two."""
    before, after = (
        {report.layer.name: report for report in model.layers}
        for model in (result.left, result.right)
    )
    for change in result.changes:
        pair = (before.get(change.name), after.get(change.other_name or change.name))
        track = SlopeTrack()
        points = tuple(None if report is None else _point(report, track) for report in pair)
        form = next(report.layer.form for report in pair if report is not None)
        yield LayerSeries(_renamed(change), None, form, points, track.trends())


def _point(report: LayerReport, track: SlopeTrack) -> LayerPoint:
    slopes = report.layer.slopes.reshape(-1)
    return LayerPoint(slopes, report.statistics, report.health, track.add(slopes))


def _model(model: InspectResult) -> tuple[str, ...]:
    return (Name(model.path), f": {origin(model)}; {n_slopes(model)}")


def _changes(result: CompareResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("slopes"),
        Column("changed", meaning="slopes that are not equal bit for bit", absent=_ABSENT),
        Column("largest change", "text", meaning="of the slope that changed most", absent=_ABSENT),
        Column("mean\nchange", meaning="after minus before, over all slopes", absent=_ABSENT),
        Column(
            "changed\nsign",
            meaning="slopes that are below 0 in one model and above 0 in the other",
            absent=_ABSENT,
        ),
        Column("difference", "text", needed=False),
    )
    layers = {report.layer.name: report.layer for report in result.left.layers}
    rows = [
        (
            Name(_renamed(change)),
            f"{change.n_slopes:,}",
            "-" if change.n_changed is None else f"{change.n_changed:,}",
            _largest(change, layers.get(change.name)),
            moved(change.mean_change),
            "-" if change.n_sign_changes is None else f"{change.n_sign_changes:,}",
            _what(change),
        )
        for change in result.changes
    ]
    return Table(columns, tuple(rows)).without()


def _renamed(change: LayerChange) -> str:
    """The layer's name in the first model, and in the second where that is another."""
    return change.name if change.other_name is None else f"{change.name} -> {change.other_name}"


def _largest(change: LayerChange, layer: PReLULayer | None) -> str:
    """`0.25 -> 0.1945 (channel 6)`."""
    if change.largest is None or layer is None:
        return "" if change.difference is None else "-"
    index, before, after = change.largest
    where = placed(layer, index)
    return f"{before:.4g} -> {after:.4g}{f' ({where})' if where else ''}"


def _what(change: LayerChange) -> str:
    """More than the figures say: swapped channels, a layer of one side only."""
    if change.difference is None:
        return Word("equal", "pass")
    return "" if code_of(change.difference) == VALUES_DIFFER else change.difference


def _summary(result: CompareResult) -> str:
    """How many layers changed, in one line."""
    total = len(result.changes)
    changed = sum(change.difference is not None for change in result.changes)
    signs = sum(change.n_sign_changes or 0 for change in result.changes)
    if not total:
        return "neither has a PReLU layer"
    text = f"{changed:,} of {counted(total, 'layer')} changed"
    return f"{text}; {counted(signs, 'slope')} changed sign" if signs else text
