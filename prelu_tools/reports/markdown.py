"""GitHub's Markdown: tables for a pull request, an issue or a job summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.export import DoctorResult, ExportResult, InitResult
from prelu_tools.core.results.inspection import InspectResult, LayerReport
from prelu_tools.core.results.optimization import OptimizeResult
from prelu_tools.core.results.record import RecordResult
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.findings import by_severity, which
from prelu_tools.reports.markdown_verify import verify_blocks
from prelu_tools.reports.markup import bullets, code, escaped, table
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.tables.compare import summary
from prelu_tools.reports.tables.export import layer_words
from prelu_tools.reports.tables.optimize import gained, latency_words, proven
from prelu_tools.reports.tables.parts import (
    counted,
    moved,
    number,
    origin,
    percentage,
    shape,
    share,
)
from prelu_tools.reports.tables.record import record_lines
from prelu_tools.reports.zoo.markdown import batch_blocks


def render(result: Result, style: Style) -> str:
    """The result as Markdown."""
    blocks = _blocks(cleaned(result, LONGEST), style)
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _blocks(result: Result, style: Style) -> Iterable[str]:
    if isinstance(result, InspectResult):
        return _inspect(result, style)
    if isinstance(result, CompareResult):
        return _compare(result)
    if isinstance(result, VerifyResult):
        return verify_blocks(result, "##")
    if isinstance(result, ExportResult):
        return _export(result)
    if isinstance(result, OptimizeResult):
        return _optimize(result)
    if isinstance(result, InitResult):
        return _init(result)
    if isinstance(result, RecordResult):
        return _record(result)
    if isinstance(result, BatchResult):
        return batch_blocks(result)
    return _doctor(result)


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


def _export(result: ExportResult) -> Iterable[str]:
    yield f"## {code(result.source)} to {code(result.path)}"
    yield (
        f"{result.n_bytes:,} bytes, opset {result.opset}, {counted(result.n_nodes, 'node')}, by "
        f"{escaped(result.route)}; {escaped(layer_words(result))}"
    )
    if result.data_path is not None:
        yield f"Weights: {code(result.data_path)}, {result.n_data_bytes:,} bytes."
    refused = [f"{route.route} refused it: {route.reason}" for route in result.refused]
    yield bullets(escaped(note) for note in (*refused, *result.notes))
    if result.verification is None:
        yield "**Not verified.**"
    else:
        yield from verify_blocks(result.verification, "###")


def _optimize(result: OptimizeResult) -> Iterable[str]:
    yield f"## {code(result.source)} to {code(result.path)}"
    yield (
        f"{result.n_bytes:,} bytes for {result.target}; {result.n_changed} of "
        f"{counted(len(result.layers), 'PReLU layer')} rewritten"
    )
    rows = [
        (
            code(layer.name),
            escaped(layer.before),
            escaped(layer.form),
            layer.chosen,
            shape(layer.shape) if layer.shape is not None else "-",
            f"{layer.n_slopes:,}",
            gained(layer),
        )
        for layer in result.layers
    ]
    headers = ("layer", "before", "now", "chosen by", "input", "slopes", "gained")
    yield table(headers, rows, left=4)
    held = result.held
    if result.latency is not None:
        yield (
            f"{latency_words(result.latency)}; {counted(result.latency.threads, 'thread')}, "
            f"onnxruntime {held.runtime} on {escaped(held.processor or 'an unnamed processor')}"
        )
    yield escaped(proven(result))
    yield bullets(escaped(note) for note in result.notes)


def _init(result: InitResult) -> Iterable[str]:
    yield f"## {code(result.path)}: {counted(len(result.checks), 'check')}"
    rows = [
        (code(check.reference), ", ".join(map(code, check.candidates)), f"{check.n_models:,}")
        for check in result.checks
    ]
    yield table(("reference", "candidates", "models"), rows, left=2)
    yield bullets(f"left out: {code(one.path)}: {escaped(one.reason)}" for one in result.left_out)


def _record(result: RecordResult) -> Iterable[str]:
    yield f"## {code(result.path)}"
    yield bullets(map(escaped, record_lines(result)))


def _doctor(result: DoctorResult) -> Iterable[str]:
    yield f"## Python {escaped(result.python)} on {escaped(result.platform)}"
    sections = (("core", result.core), ("extras", result.extras), ("providers", result.providers))
    rows = [
        (name, escaped(item.name), item.state, escaped(item.detail), escaped(item.advice))
        for name, items in sections
        for item in items
    ]
    yield table(("", "what", "state", "found", "to do"), rows, left=5)
