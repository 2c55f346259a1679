"""Tables for people: aligned, at most as wide as they are told, colour only where it is wanted."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results import (
    CandidateReport,
    DoctorResult,
    ExportResult,
    Finding,
    InspectResult,
    LayerReport,
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
        "layer", "form", "sharing", "shape", "count", "mean", "std", "min", "max", "<0", ">1",
        left=4,
    )  # fmt: skip
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
    if result.verification is None:
        parts.append(Text("not verified", style="yellow"))
    else:
        parts += [Text(""), _verify(result.verification)]
    return Group(*parts)


def _verify(result: VerifyResult) -> RenderableType:
    parts = [_candidate(result, report) for report in result.candidates]
    summary = Text("\n")
    summary.append(result.verdict.upper(), style=_COLOURS[result.verdict])
    summary.append(f"  {result.samples} inputs, seed {result.seed}")
    if result.coverage is not None and result.coverage.total:
        summary.append(
            f"; {result.coverage.exercised} of {result.coverage.total} slopes met a negative input"
        )
    parts.append(summary)
    parts += [Text(f"  {reason}") for reason in result.reasons]
    return Group(*parts)


def _candidate(result: VerifyResult, report: CandidateReport) -> RenderableType:
    title = Text(result.reference, style="bold")
    title.append(" = ", style="dim").append(report.model, style="bold")
    if report.provider is not None:
        title.append(f" on {', '.join(report.provider.actual) or report.provider.requested}")
    parts: list[RenderableType] = [title, Text("")]
    if report.outputs:
        table = _grid("output", "shape", "max abs diff", "max rel diff", "wrong", "verdict", left=2)
        for output in report.outputs:
            table.add_row(
                output.name,
                "x".join(str(size) for size in output.shape) or "()",
                f"{output.max_abs_diff:.2e}",
                f"{output.max_rel_diff:.2e}",
                f"{output.n_mismatched + output.n_nonfinite_mismatch}",
                _word(output.verdict),
            )
        parts += [table, Text("")]
    if report.layers:
        table = _grid("layer", "slopes", "reached", "verdict", left=2)
        for layer in report.layers:
            table.add_row(
                layer.name,
                "equal, bit for bit" if layer.slopes_equal else "differ",
                "-" if layer.coverage is None else f"{100 * layer.coverage:.0f}%",
                _word(layer.verdict),
            )
        parts += [table]
    return Group(*parts)


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
