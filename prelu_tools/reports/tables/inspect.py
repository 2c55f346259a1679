"""What `inspect` saw in one model, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.prelu.statistics import SlopeStatistics
from prelu_tools.core.results.inspection import (
    Finding,
    InspectResult,
    LayerReport,
    LayerUsage,
    OtherActivation,
    RefusedForm,
)
from prelu_tools.reports import Style
from prelu_tools.reports.findings import by_severity, which
from prelu_tools.reports.tables.histogram import histograms
from prelu_tools.reports.tables.parts import (
    COLOURS,
    counted,
    grid,
    number,
    origin,
    percentage,
    shape,
    share,
)

_SHARING = {
    "channel-shared": "shared",
    "channel-wise": "channel",
    "element-wise": "element",
    "partial": "partial",
}
_NAME_WIDTH = 16  # a name gets so much before the form and the shape move out of the table


def inspect_table(result: InspectResult, style: Style) -> RenderableType:
    """The whole report."""
    parts: list[RenderableType] = [title(result)]
    parts += [Text(note) for note in result.notes]
    if result.layers:
        parts += [Text(""), *_slopes(result, style.width)]
        parts += [Text(""), *histograms(result.layers, style.width)]
        parts += [Text(""), *_grouped(_health(result.layers), result.layers)]
    if any(report.usage for report in result.layers):
        parts += [Text(""), _usage_table(result.layers)]
    if style.slopes:
        parts += [_values(report) for report in result.layers]
    if style.others and result.others:
        parts += [Text(""), _other_table(result.others)]
    if result.refused:
        parts += [Text(""), *_refused(result.refused)]
    all_names = [report.layer.name for report in result.layers]
    for finding, layers in by_severity(result.all_findings):
        parts.append(_finding(finding, which(layers, all_names)))
    return Group(*parts)


def title(result: InspectResult) -> Text:
    """The model in three lines."""
    n_slopes = sum(report.statistics.count for report in result.layers)
    others = Counter(other.operator for other in result.others)
    text = Text(result.path, style="bold")
    return text.append(
        f"\n{origin(result)}; {result.n_parameters:,} parameters\n"
        f"{counted(len(result.layers), 'PReLU layer')}, {counted(n_slopes, 'slope')}"
        f"{''.join(f', {count} {operator}' for operator, count in sorted(others.items()))}",
        style="not bold",
    )


def _slopes(result: InspectResult, width: int) -> list[RenderableType]:
    """The table of slopes; where it is too wide, without the form and shape, which then follow."""
    reports = result.layers
    full = _slope_table(result, wide=True)
    longest = max(cell_len(_name(report)) for report in reports)
    needed = sum(
        max(cell_len(str(cell)) for cell in (column.header, *column.cells))
        for column in full.columns[1:]
    )
    if needed + len(full.columns) - 1 + min(longest, _NAME_WIDTH) <= width:
        return [full]
    below = [
        (f"{report.layer.form} {shape(report.layer.stored_shape)}", report.layer.name)
        for report in reports
    ]
    return [_slope_table(result, wide=False), Text(""), *_grouped(below, reports)]


def _slope_table(result: InspectResult, wide: bool) -> Table:
    extra = ("form", "sharing", "shape") if wide else ("sharing",)
    table = grid(
        *("layer", *extra, "count", "mean", "std", "min", "max", "<0", ">1", "adds"),
        left=1 + len(extra),
    )
    for report in result.layers:
        layer = report.layer
        sharing = _SHARING[layer.sharing]
        middle = (layer.form, sharing, shape(layer.stored_shape)) if wide else (sharing,)
        numbers = _numbers(report.statistics)
        table.add_row(_name(report), *middle, *numbers, _overhead(layer.overhead_percent))
    total = result.statistics
    if total is not None and len(result.layers) > 1:
        table.add_row(Text("all"), *[""] * len(extra), *_numbers(total), "", style="bold")
    return table


def _name(report: LayerReport) -> str:
    layer = report.layer
    return layer.name if len(layer.nodes) == 1 else f"{layer.name} (x{len(layer.nodes)})"


def _numbers(stats: SlopeStatistics) -> tuple[str, ...]:
    return (
        f"{stats.count}",
        *(number(value) for value in (stats.mean, stats.std, stats.min, stats.max)),
        share(stats.n_negative, stats.count),
        share(stats.n_above_one, stats.count),
    )


def _overhead(percent: float | None) -> str:
    """What the slopes add to the parameters of the layer before."""
    if percent is None:
        return "-"
    return f"{percent:.2f}%" if percent < 10 else f"{percent:.0f}%"


def _health(reports: Sequence[LayerReport]) -> list[tuple[str, str]]:
    return [(word, report.layer.name) for report in reports for word in report.health]


def _grouped(pairs: Sequence[tuple[str, str]], reports: Sequence[LayerReport]) -> Iterable[Text]:
    """Each word with the layers that it holds for."""
    all_names = [report.layer.name for report in reports]
    words: dict[str, list[str]] = {}
    for word, layer in pairs:
        words.setdefault(word, []).append(layer)
    width = max((cell_len(word) for word in words), default=0)
    for word, layers in words.items():
        yield Text(f"{word:{width}}  {which(layers, all_names)}")


def _usage_table(reports: Sequence[LayerReport]) -> Table:
    """What the data did: the mean over a layer's slopes, those it never used, and their weight."""
    table = grid("layer", "negative inputs", "slopes", "unused", "of output")
    for report in reports:
        usage = report.usage
        table.add_row(report.layer.name, *(_used(usage) if usage else ("-", "-", "-", "-")))
    return table


def _used(usage: LayerUsage) -> tuple[str, ...]:
    mean = float(usage.negative_share.mean()) if usage.negative_share.size else float("nan")
    return (
        percentage(mean),
        f"{usage.negative_share.size}",
        f"{len(usage.unused)}",
        percentage(usage.output_share),
    )


def _values(report: LayerReport) -> Text:
    values = " ".join(f"{value:.6g}" for value in report.layer.slopes.reshape(-1).tolist())
    return Text(f"\n{report.layer.name}: {values}")


def _other_table(others: Sequence[OtherActivation]) -> Table:
    table = grid("not learned", "operator", "slope", left=2)
    for other in others:
        table.add_row(other.name, other.operator, f"{other.slope:g}")
    return table


def _refused(refused: Sequence[RefusedForm]) -> Iterable[Text]:
    yield Text("Resembles PReLU and is not taken for one:")
    for part in refused:
        yield Text(f"  {part.node} ({part.form}): {part.reason}")


def _finding(finding: Finding, layers: str) -> Text:
    text = Text("\n")
    text.append(f"{finding.severity} {finding.code}", style=COLOURS[finding.severity])
    text.append(f" {layers}" if layers else "")
    return text.append(f": {finding.message}")
