"""What `inspect A B` saw: both models, and a row for each layer."""

from __future__ import annotations

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.reasons import VALUES_DIFFER, code_of
from prelu_tools.reports import Style
from prelu_tools.reports.document import Block, Column, Facts, Name, Section, Table, Word
from prelu_tools.reports.words import counted, moved, n_slopes, origin, placed


def view(result: CompareResult, style: Style) -> Section:
    """The document of a comparison."""
    title = (Name(result.left.path), " -> ", Name(result.right.path))
    models = Facts((("before", _model(result.left)), ("after", _model(result.right))))
    tables: tuple[Block, ...] = (_changes(result),) if result.changes else ()
    return Section(title, (models, *tables), headline=_summary(result))


def _model(model: InspectResult) -> tuple[str, ...]:
    return (Name(model.path), f": {origin(model)}; {n_slopes(model)}")


def _changes(result: CompareResult) -> Table:
    columns = (
        Column("layer", "name"),
        Column("slopes"),
        Column("changed"),
        Column("largest change", "text"),
        Column("mean\nchange"),
        Column("sign\nchanges"),
        Column("what", "text", needed=False),
    )
    layers = {report.layer.name: report.layer for report in result.left.layers}
    rows = [
        (
            Name(change.name if change.other_name is None else _renamed(change)),
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
    return f"{change.name} -> {change.other_name}"


def _largest(change: LayerChange, layer: PReLULayer | None) -> str:
    """`0.25 -> 0.1945 (channel 6)`."""
    if change.largest is None or layer is None:
        return "" if change.difference is None else "-"
    index, before, after = change.largest
    where = placed(layer, index)
    return f"{before:.4g} -> {after:.4g}{f' ({where})' if where else ''}"


def _what(change: LayerChange) -> str:
    """More than the figures say: exchanged channels, a layer of one side only."""
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
    text = f"{changed} of {counted(total, 'layer')} changed"
    return f"{text}; {counted(signs, 'slope')} changed sign" if signs else text
