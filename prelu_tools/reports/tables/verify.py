"""What `export`, `verify` and `doctor` found, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results import (
    CandidateReport,
    DoctorResult,
    ExportResult,
    LayerParity,
    VerifyResult,
)
from prelu_tools.reports.tables.parts import COLOURS, counted, grid, shape, word


def export_text(result: ExportResult) -> RenderableType:
    """What was written, and whether it held."""
    n_calls = sum(len(layer.nodes) for layer in result.layers)
    title = Text(f"{result.source} -> {result.path}", style="bold")
    title.append(
        f"\n{result.n_bytes:,} bytes, opset {result.opset}, {counted(result.n_nodes, 'node')}, "
        f"by {result.route}\n{counted(len(result.layers), 'PReLU layer')} in "
        f"{counted(n_calls, 'PRelu node')}",
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
    text = Text("verified: ", style=COLOURS[result.verdict])
    text.append(
        f"{counted(len(outputs), 'output')} within {worst:.1e} of the source's, "
        f"slopes of {counted(len(layers), 'layer')} equal bit for bit",
        style="default",
    )
    return text.append(f"\n{reached(result)}", style="default")


def reached(result: VerifyResult) -> str:
    """The inputs, and how many slopes they exercised."""
    text = f"{counted(result.samples, 'input')}, seed {result.seed}"
    if result.coverage is not None and result.coverage.total:
        exercised, total = result.coverage.exercised, result.coverage.total
        text += f"; {exercised:,} of {total:,} slopes met a negative input"
    return text


def verify_tables(result: VerifyResult) -> RenderableType:
    """The outputs, the layers and the verdict."""
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
    summary.append(result.verdict.upper(), style=COLOURS[result.verdict])
    summary.append(f"  {reached(result)}")
    parts.append(summary)
    parts += [Text(f"  {reason}") for reason in result.reasons]
    return Group(*parts)


def _where(report: CandidateReport) -> str:
    if report.provider is None:
        return ""
    return f" on {', '.join(report.provider.actual) or report.provider.requested}"


def _output_table(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    table = grid("output", "shape", "max abs diff", "max rel diff", "wrong", "verdict", left=2)
    for mark, report in zip(marks, reports, strict=True):
        for output in report.outputs:
            table.add_row(
                output.name if len(reports) == 1 else f"{mark} {output.name}",
                shape(output.shape),
                f"{output.max_abs_diff:.2e}",
                f"{output.max_rel_diff:.2e}",
                f"{output.n_mismatched + output.n_nonfinite_mismatch}",
                word(output.verdict),
            )
    return table


def _layer_table(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    """A row a layer; a column a candidate, which says whether its slopes are the reference's."""
    columns = ["slopes"] if len(reports) == 1 else list(marks)
    table = grid("layer", "reached", *columns)
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
            *(_slopeword(layer) for layer in found),
        )
    return table


def _slopeword(layer: LayerParity | None) -> Text:
    if layer is None:
        return Text("-")
    words = {"pass": "equal", "fail": "differ", "inconclusive": "unknown"}
    return Text(words[layer.verdict], style=COLOURS[layer.verdict])


def doctor_table(result: DoctorResult) -> RenderableType:
    """What was looked at, and what to do."""
    table = grid("", "state", "found", left=3)
    sections = (("core", result.core), ("extras", result.extras), ("providers", result.providers))
    for name, items in sections:
        table.add_row(Text(name, style="bold"))
        for item in items:
            table.add_row(f"  {item.name}", word(item.state), item.detail)
    advice = [
        Text(f"{item.name}: {item.advice}")
        for _, items in sections
        for item in items
        if item.advice and item.state != "ok"
    ]
    title = Text(f"Python {result.python} on {result.platform}\n")
    return Group(title, table, *([Text("\nTo get what is not there:"), *advice] if advice else []))
