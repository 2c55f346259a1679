"""What `inspect A B` saw, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.reports.tables.parts import counted, grid, moved, origin


def compare_table(result: CompareResult) -> RenderableType:
    """Both models, and a row a layer."""
    parts: list[RenderableType] = [_model("A", result.left), _model("B", result.right)]
    if result.changes:
        parts += [Text(""), _changes(result)]
    parts += [Text(""), Text(summary(result))]
    return Group(*parts)


def _model(mark: str, model: InspectResult) -> Text:
    n_slopes = sum(report.statistics.count for report in model.layers)
    text = Text(f"{mark}  {model.path}", style="bold")
    return text.append(
        f"\n   {origin(model)}; "
        f"{counted(len(model.layers), 'PReLU layer')}, {counted(n_slopes, 'slope')}",
        style="not bold",
    )


def _changes(result: CompareResult) -> Table:
    table = grid(
        *("layer", "slopes", "max\nchange", "mean\nchange", "sign\nchanges", "what"),
        folding=(0, 5),
    )
    table.columns[5].justify = "left"
    for change in result.changes:
        signs = "-" if change.n_sign_changes is None else f"{change.n_sign_changes}"
        table.add_row(
            named(change),
            f"{change.n_slopes}",
            moved(change.max_abs_change),
            moved(change.mean_change),
            signs,
            Text("equal", style="green") if change.difference is None else change.difference,
        )
    return table


def named(change: LayerChange) -> str:
    """The layer's name in A, and in B where that is another."""
    return change.name if change.other_name is None else f"{change.name} -> {change.other_name}"


def summary(result: CompareResult) -> str:
    """How many layers changed, in one line."""
    total = len(result.changes)
    changed = sum(change.difference is not None for change in result.changes)
    signs = sum(change.n_sign_changes or 0 for change in result.changes)
    if not total:
        return "neither has a PReLU layer"
    text = f"{changed} of {counted(total, 'layer')} changed"
    return f"{text}; {counted(signs, 'slope')} changed sign" if signs else text
