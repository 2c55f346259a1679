"""Tables for people: aligned, at most as wide as they are told, colour only where it is wanted."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.inspection import Finding, InspectResult, LayerReport
from prelu_tools.core.results import (
    CandidateReport,
    DoctorResult,
    ExportResult,
    LayerParity,
    VerifyResult,
)
from prelu_tools.reports import Result, Style

_COLOURS = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "ok": "green",
    "missing": "yellow",
    "broken": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
}
_SHARING = {
    "channel-shared": "shared",
    "channel-wise": "channel",
    "element-wise": "element",
    "partial": "partial",
}


def render(result: Result, style: Style) -> str:
    """The result as text."""
    if isinstance(result, InspectResult):
        body = _inspect(result, style)
    elif isinstance(result, VerifyResult):
        body = _verify(result)
    elif isinstance(result, ExportResult):
        body = _export(result)
    else:
        body = _doctor(result)
    out = io.StringIO()
    console = Console(
        file=out,
        width=style.width,
        force_terminal=style.colour,
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(body)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()) + "\n"


def _grid(*headers: str, left: int = 1) -> Table:
    """A table whose first column alone may fold; the columns from `left` on are numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for position, header in enumerate(headers):
        justify: Literal["left", "right"] = "left" if position < left else "right"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=position > 0)
    return table


def _word(text: str) -> Text:
    return Text(text, style=_COLOURS.get(text, ""))


def _inspect(result: InspectResult, style: Style) -> RenderableType:
    opset = f", opset {result.opset}" if result.opset else ""
    n_slopes = sum(report.statistics.count for report in result.layers)
    title = Text(result.path, style="bold")
    title.append(
        f"\n{result.format}{opset}, {result.producer}; {result.n_parameters:,} parameters\n"
        f"{_count(len(result.layers), 'PReLU layer')}, {_count(n_slopes, 'slope')}\n",
        style="not bold",
    )
    parts: list[RenderableType] = [title]
    if result.layers:
        parts += [_slope_table(result.layers), *_health(result.layers)]
    if style.slopes:
        parts += [_values(report) for report in result.layers]
    findings = [*result.findings, *(f for report in result.layers for f in report.findings)]
    parts += [_finding(finding) for finding in findings]
    return Group(*parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _slope_table(reports: Sequence[LayerReport]) -> Table:
    table = _grid(
        *("layer", "form", "sharing", "shape", "count", "mean", "std", "min", "max"),
        *("<0", ">1", "adds"),
        left=4,
    )
    for report in reports:
        layer, stats = report.layer, report.statistics
        table.add_row(
            layer.name if len(layer.nodes) == 1 else f"{layer.name} (x{len(layer.nodes)})",
            layer.form,
            _SHARING[layer.sharing],
            "x".join(str(size) for size in layer.stored_shape) or "()",
            f"{stats.count}",
            _number(stats.mean),
            "-" if stats.std is None else _number(stats.std),
            _number(stats.min),
            _number(stats.max),
            _share(stats.n_negative, stats.count),
            _share(stats.n_above_one, stats.count),
            _overhead(layer.overhead_percent),
        )
    return table


def _health(reports: Sequence[LayerReport]) -> Iterable[Text]:
    """Each word of health with the layers that it holds for."""
    words = dict.fromkeys(word for report in reports for word in report.health)
    width = max((len(word) for word in words), default=0)
    for number, word in enumerate(words):
        names = [report.layer.name for report in reports if word in report.health]
        which = "all layers" if len(names) == len(reports) > 1 else ", ".join(names)
        yield Text(("" if number else "\n") + f"{word:{width}}  {which}")


def _number(value: float) -> str:
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.0f}%" if count else "0"


def _overhead(percent: float | None) -> str:
    """What the slopes add to the parameters of the layer before."""
    if percent is None:
        return "-"
    return f"{percent:.2f}%" if percent < 10 else f"{percent:.0f}%"


def _values(report: LayerReport) -> Text:
    values = " ".join(f"{value:.6g}" for value in report.layer.slopes.reshape(-1).tolist())
    return Text(f"\n{report.layer.name}: {values}")


def _finding(finding: Finding) -> Text:
    text = Text("\n")
    text.append(f"{finding.severity} {finding.code}", style=_COLOURS[finding.severity])
    text.append(f" {finding.layer}" if finding.layer else "")
    return text.append(f": {finding.message}")


def _export(result: ExportResult) -> RenderableType:
    n_calls = sum(len(layer.nodes) for layer in result.layers)
    title = Text(f"{result.source} -> {result.path}", style="bold")
    title.append(
        f"\n{result.n_bytes:,} bytes, opset {result.opset}, {_count(result.n_nodes, 'node')}, "
        f"by {result.route}\n{_count(len(result.layers), 'PReLU layer')} in "
        f"{_count(n_calls, 'PRelu node')}",
        style="not bold",
    )
    parts: list[RenderableType] = [title]
    parts += [Text(note) for note in result.notes]
    checked = result.verification
    parts.append(Text("not verified", style="yellow") if checked is None else _held(checked))
    return Group(*parts)


def _held(result: VerifyResult) -> Text:
    """A verification that passed, in two lines."""
    outputs = [output for report in result.candidates for output in report.outputs]
    layers = [layer for report in result.candidates for layer in report.layers]
    worst = max((output.max_abs_diff for output in outputs), default=0.0)
    text = Text("verified: ", style=_COLOURS[result.verdict])
    text.append(
        f"{_count(len(outputs), 'output')} within {worst:.1e} of the source's, "
        f"slopes of {_count(len(layers), 'layer')} equal bit for bit",
        style="default",
    )
    return text.append(f"\n{_reached(result)}", style="default")


def _reached(result: VerifyResult) -> str:
    text = f"{_count(result.samples, 'input')}, seed {result.seed}"
    if result.coverage is not None and result.coverage.total:
        exercised, total = result.coverage.exercised, result.coverage.total
        text += f"; {exercised:,} of {total:,} slopes met a negative input"
    return text


def _verify(result: VerifyResult) -> RenderableType:
    reports = result.candidates
    marks = [f"[{number}]" for number in range(1, len(reports) + 1)]
    parts: list[RenderableType] = [Text(f"reference  {result.reference}")]
    for mark, report in zip(marks, reports, strict=True):
        label = "candidate" if len(reports) == 1 else mark.rjust(9)
        parts.append(Text(f"{label}  {report.model}{_where(report)}"))
    if any(report.outputs for report in reports):
        parts += [Text(""), _output_table(marks, reports)]
    if any(report.layers for report in reports):
        parts += [Text(""), _layer_table(marks, reports)]
    summary = Text("\n")
    summary.append(result.verdict.upper(), style=_COLOURS[result.verdict])
    summary.append(f"  {_reached(result)}")
    parts.append(summary)
    parts += [Text(f"  {reason}") for reason in result.reasons]
    return Group(*parts)


def _where(report: CandidateReport) -> str:
    if report.provider is None:
        return ""
    return f" on {', '.join(report.provider.actual) or report.provider.requested}"


def _output_table(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    table = _grid("output", "shape", "max abs diff", "max rel diff", "wrong", "verdict", left=2)
    for mark, report in zip(marks, reports, strict=True):
        for output in report.outputs:
            table.add_row(
                output.name if len(reports) == 1 else f"{mark} {output.name}",
                "x".join(str(size) for size in output.shape) or "()",
                f"{output.max_abs_diff:.2e}",
                f"{output.max_rel_diff:.2e}",
                f"{output.n_mismatched + output.n_nonfinite_mismatch}",
                _word(output.verdict),
            )
    return table


def _layer_table(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    """A row a layer; a column a candidate, which says whether its slopes are the reference's."""
    columns = ["slopes"] if len(reports) == 1 else list(marks)
    table = _grid("layer", "reached", *columns)
    names = dict.fromkeys(layer.name for report in reports for layer in report.layers)
    for name in names:
        found = [
            next((layer for layer in report.layers if layer.name == name), None)
            for report in reports
        ]
        coverage = next((x.coverage for x in found if x and x.coverage is not None), None)
        table.add_row(
            name,
            "-" if coverage is None else f"{100 * coverage:.0f}%",
            *(_slope_word(layer) for layer in found),
        )
    return table


def _slope_word(layer: LayerParity | None) -> Text:
    if layer is None:
        return Text("-")
    words = {"pass": "equal", "fail": "differ", "inconclusive": "unknown"}
    return Text(words[layer.verdict], style=_COLOURS[layer.verdict])


def _doctor(result: DoctorResult) -> RenderableType:
    table = _grid("", "state", "found", left=3)
    sections = (("core", result.core), ("extras", result.extras), ("providers", result.providers))
    for name, items in sections:
        table.add_row(Text(name, style="bold"))
        for item in items:
            table.add_row(f"  {item.name}", _word(item.state), item.detail)
    advice = [
        Text(f"{item.name}: {item.advice}")
        for _, items in sections
        for item in items
        if item.advice and item.state != "ok"
    ]
    title = Text(f"Python {result.python} on {result.platform}\n")
    return Group(title, table, *([Text("\nTo get what is not there:"), *advice] if advice else []))
