"""GitHub's Markdown: tables for a pull request, an issue or a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from prelu_tools.core.comparison import CompareResult
from prelu_tools.core.inspection import InspectResult, LayerReport
from prelu_tools.core.results import CandidateReport, DoctorResult, ExportResult, VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.findings import by_severity, which
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.tables.compare import summary
from prelu_tools.reports.tables.parts import (
    counted,
    moved,
    number,
    origin,
    percentage,
    shape,
    share,
)
from prelu_tools.reports.tables.verify import reached

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~$&])")
_BAR = r"\|"
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def render(result: Result, style: Style) -> str:
    """The result as Markdown."""
    blocks = _blocks(cleaned(result), style)
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _blocks(result: Result, style: Style) -> Iterable[str]:
    if isinstance(result, InspectResult):
        return _inspect(result, style)
    if isinstance(result, CompareResult):
        return _compare(result)
    if isinstance(result, VerifyResult):
        return _verify(result, "##")
    if isinstance(result, ExportResult):
        return _export(result)
    return _doctor(result)


def escaped(text: str) -> str:
    """Text that means itself: nothing in it marks anything up, breaks a line or calls anyone."""
    return " ".join(_MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\1", text)).split())


def code(text: str) -> str:
    """A name as code, whatever is in it."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table; the columns from `left` on are numbers."""
    marks = [":--" if column < left else "--:" for column in range(len(headers))]
    lines = [headers, marks, *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', _BAR) for cell in line)} |" for line in lines
    )


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def _model(result: InspectResult) -> str:
    n_slopes = sum(report.statistics.count for report in result.layers)
    return (
        f"{escaped(origin(result))}; "
        f"{result.n_parameters:,} parameters, {counted(len(result.layers), 'PReLU layer')}, "
        f"{counted(n_slopes, 'slope')}"
    )


def _inspect(result: InspectResult, style: Style) -> Iterable[str]:
    yield f"## {code(result.path)}"
    yield _model(result)
    yield bullets(escaped(note) for note in result.notes)
    if result.layers:
        yield _layers(result)
    if any(report.usage for report in result.layers):
        yield _usage(result.layers)
    if style.slopes:
        for report in result.layers:
            values = ", ".join(f"{value:.6g}" for value in report.layer.slopes.reshape(-1).tolist())
            yield f"{code(report.layer.name)}: {values}"
    if style.others and result.others:
        rows = [(code(o.name), o.operator, f"{o.slope:g}") for o in result.others]
        yield table(("not learned", "operator", "slope"), rows, left=2)
    if result.refused:
        yield "Resembles PReLU and is not taken for one:"
        yield bullets(
            f"{code(p.node)} ({escaped(p.form)}): {escaped(p.reason)}" for p in result.refused
        )
    names = [report.layer.name for report in result.layers]
    if result.all_findings:
        yield "Findings:"
    yield bullets(
        f"**{finding.severity}** {code(finding.code)}{_about(layers, names)}: "
        f"{escaped(finding.message)}"
        for finding, layers in by_severity(result.all_findings)
    )


def _about(layers: Sequence[str], names: Sequence[str]) -> str:
    if not layers:
        return ""
    text = which(layers, names)
    return " in " + (text if text == "all layers" else ", ".join(map(code, layers)))


def _layers(result: InspectResult) -> str:
    headers = ("layer", "form", "sharing", "shape", "health", "count", "mean", "std", "min", "max")
    rows = [
        (
            code(report.layer.name),
            escaped(report.layer.form),
            report.layer.sharing,
            shape(report.layer.stored_shape),
            ", ".join(map(escaped, report.health)),
            *_numbers(report),
        )
        for report in result.layers
    ]
    return table((*headers, "< 0", "> 1"), rows, left=5)


def _numbers(report: LayerReport) -> tuple[str, ...]:
    stats = report.statistics
    return (
        f"{stats.count:,}",
        *(number(value) for value in (stats.mean, stats.std, stats.min, stats.max)),
        share(stats.n_negative, stats.count).replace("<", "&lt;").replace(">", "&gt;"),
        share(stats.n_above_one, stats.count).replace("<", "&lt;").replace(">", "&gt;"),
    )


def _usage(reports: Sequence[LayerReport]) -> str:
    rows = [
        (
            code(report.layer.name),
            percentage(float(report.usage.negative_share.mean())),
            f"{len(report.usage.unused):,} of {report.usage.negative_share.size:,}",
            percentage(report.usage.output_share),
        )
        for report in reports
        if report.usage
    ]
    return table(("layer", "negative inputs", "unused slopes", "share of output"), rows)


def _compare(result: CompareResult) -> Iterable[str]:
    yield f"## {code(result.left.path)} to {code(result.right.path)}"
    yield bullets(f"{code(model.path)}: {_model(model)}" for model in (result.left, result.right))
    if result.changes:
        headers = ("layer", "what", "slopes", "max change", "mean change", "sign changes")
        rows = [
            (
                code(change.name) + (f" to {code(change.other_name)}" if change.other_name else ""),
                "equal" if change.difference is None else escaped(change.difference),
                f"{change.n_slopes:,}",
                moved(change.max_abs_change),
                moved(change.mean_change),
                "-" if change.n_sign_changes is None else f"{change.n_sign_changes}",
            )
            for change in result.changes
        ]
        yield table(headers, rows, left=2)
    yield f"{summary(result)}."


def _verify(result: VerifyResult, heading: str) -> Iterable[str]:
    yield f"{heading} {result.verdict.upper()}: {code(result.reference)}"
    yield f"{reached(result)}."
    yield bullets(escaped(reason) for reason in result.reasons)
    for report in result.candidates:
        yield from _candidate(report, heading)


def _candidate(report: CandidateReport, heading: str) -> Iterable[str]:
    provider = report.provider
    where = ", ".join(provider.actual) or provider.requested if provider else ""
    place = f" on {escaped(where)}" if where else ""
    yield f"{heading}# {report.verdict}: {code(report.model)}{place}"
    if report.outputs:
        headers = ("output", "shape", "verdict", "max abs diff", "max rel diff", "wrong")
        rows = [
            (
                code(output.name),
                shape(output.shape),
                output.verdict,
                f"{output.max_abs_diff:.2e}",
                f"{output.max_rel_diff:.2e}",
                f"{output.n_mismatched + output.n_nonfinite_mismatch}",
            )
            for output in report.outputs
        ]
        yield table(headers, rows, left=3)
    if report.layers:
        layers = [
            (
                code(layer.name),
                "equal" if layer.slopes_equal else escaped(layer.difference or "differ"),
                layer.verdict,
                "-" if layer.coverage is None else percentage(layer.coverage),
            )
            for layer in report.layers
        ]
        yield table(("layer", "slopes", "verdict", "reached"), layers, left=3)


def _export(result: ExportResult) -> Iterable[str]:
    yield f"## {code(result.source)} to {code(result.path)}"
    n_calls = sum(len(layer.nodes) for layer in result.layers)
    yield (
        f"{result.n_bytes:,} bytes, opset {result.opset}, {counted(result.n_nodes, 'node')}, by "
        f"{escaped(result.route)}; {counted(len(result.layers), 'PReLU layer')} in "
        f"{counted(n_calls, 'PRelu node')}"
    )
    yield bullets(escaped(note) for note in result.notes)
    if result.verification is None:
        yield "**Not verified.**"
    else:
        yield from _verify(result.verification, "###")


def _doctor(result: DoctorResult) -> Iterable[str]:
    yield f"## Python {escaped(result.python)} on {escaped(result.platform)}"
    sections = (("core", result.core), ("extras", result.extras), ("providers", result.providers))
    rows = [
        (name, escaped(item.name), item.state, escaped(item.detail), escaped(item.advice))
        for name, items in sections
        for item in items
    ]
    yield table(("", "what", "state", "found", "to do"), rows, left=5)
