"""GitHub's workflow commands: an annotation for each check that did not pass and each finding.

A runner may take a log line for a command; names from models are escaped, so that they never are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.inspection import Finding, InspectResult
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.findings import SEVERITIES, by_severity, which
from prelu_tools.reports.headline import first_of
from prelu_tools.reports.places import file_of
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.sentences import interfaces, other_warnings, reached, unknown_records
from prelu_tools.reports.views.batch import in_words
from prelu_tools.reports.words import counted, listed, n_slopes

_MOST_REASONS = 20
_TITLE = "prelu-tools verify"
_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}
_NOTHING = "\u200b"  # takes no room


def render(result: Result, style: Style) -> str:
    """A line for the log and an annotation for each check that is not a pass, or each finding.

    Raises:
        UsageError: it is neither of `verify` nor of `inspect`.
    """
    result = cleaned(result)
    if isinstance(result, VerifyResult):
        return "".join(_one(result, style))
    if isinstance(result, BatchResult):
        return "".join(_batch(result, style))
    if isinstance(result, InspectResult):
        return "".join(_inspect([result], style))
    if isinstance(result, CompareResult):
        return "".join(_inspect([result.left, result.right], style))
    if isinstance(result, SeriesResult):
        return "".join(_series(result, style))
    raise UsageError("github supports only results of `verify` and `inspect`")


def annotation(
    level: str,
    title: str,
    message: str,
    folder: str = "",
    file: str | None = None,
    line: int | None = None,
) -> str:
    """A workflow command, on its own line.

    Args:
        level: `error`, `warning` or `notice`.
        title: what it is called.
        message: what it says; it may have several lines.
        folder: the place in the repository that `file` is in.
        file: what it is about; None for nothing of the repository.
        line: where in it, from 1.
    """
    properties = {"title": title}
    if file is not None:
        properties = {"file": f"{folder}/{file}" if folder else file, **properties}
        if line is not None:
            properties = {**properties, "line": str(line)}
    order = [(key, properties[key]) for key in ("file", "line", "title") if key in properties]
    said = ",".join(f"{key}={_property(value)}" for key, value in order)
    return f"::{level} {said}::{_data(message)}\n"


def _one(result: VerifyResult, style: Style) -> Iterator[str]:
    if result.verdict != "pass":
        title = f"{_TITLE}: {_compared(result)}: {result.verdict}"
        yield from _failed(title, result.reasons, style.folder)
    warnings = other_warnings(result)
    yield from _warned(f"{_TITLE}: {_compared(result)}", warnings, style.folder)
    warned = f"; {counted(len(warnings), 'warning')}" if warnings else ""
    yield _line(f"{result.verdict.upper()}  {_compared(result)}: {reached(result)}{warned}")


def _compared(result: VerifyResult) -> str:
    """What was compared with what."""
    models = dict.fromkeys(report.model for report in result.candidates)
    return f"{listed([*models])} compared with {result.reference}"


def _batch(result: BatchResult, style: Style) -> Iterator[str]:
    title = f"prelu-tools {result.command}"
    words, headline = in_words(result, style)
    for entry, word in zip(result.entries, words, strict=True):
        place = (style.folder, entry.file, entry.line)
        yield _line(f"{word} {entry.name}")
        if entry.status not in ("pass", "ok"):
            yield from _failed(f"{title}: {entry.name}: {entry.status}", entry.reasons, *place)
        yield from _warned(f"{title}: {entry.name}", cleaned(other_warnings(entry)), *place)
        yield from _found(entry, style)
    told = (*unknown_records(result), *interfaces(result))
    yield from map(_line, cleaned(told))
    if not result.entries:
        yield annotation("error", title, "nothing was checked", style.folder, result.path)
    yield _line(f"{result.status.upper()}  {headline}")


def _found(entry: BatchEntry, style: Style) -> Iterator[str]:
    """An annotation for each error and warning of a list's model, at the model's file."""
    inspected = cleaned(entry.inspection)
    if inspected is None:
        return
    found = [one for one in inspected.all_findings if one.severity != "info"]
    names = [layer.name for layer in inspected.layers]
    yield from _annotated(found, names, file_of(entry.path, style), f"{entry.name}: ")


def _inspect(results: Sequence[InspectResult], style: Style) -> Iterator[str]:
    """An annotation for each finding, at the model's file."""
    for result in results:
        names = [report.layer.name for report in result.layers]
        file = file_of(result.path, style)
        yield from _annotated(result.all_findings, names, file)
        counts = _counts(result.all_findings)
        yield _line(f"{result.path}: {n_slopes(result)}; {counts}")


def _series(result: SeriesResult, style: Style) -> Iterator[str]:
    """An annotation for each finding, at the last checkpoint's file or at the log."""
    names = [layer.name for layer in result.layers]
    file = file_of(result.points[-1].path, style)
    yield from _annotated(result.findings, names, file)
    seen = f"{counted(len(result.points), 'point')}, {counted(len(names), 'PReLU layer')}"
    yield _line(f"{result.path}: {seen}; {_counts(result.findings)}")


def _annotated(
    findings: Sequence[Finding], names: Sequence[str], file: str | None, model: str = ""
) -> Iterator[str]:
    for finding, layers in by_severity(findings):
        level = _LEVELS[finding.severity]
        where = f" in {which(layers, names)}" if layers else ""
        title = f"prelu-tools inspect: {model}{finding.code}{where}"
        yield annotation(level, title, finding.message, file=file)


def _counts(findings: Sequence[Finding]) -> str:
    found = Counter(finding.severity for finding in findings)
    counts = ", ".join(counted(found[kind], kind) for kind in SEVERITIES[:2] if found[kind])
    return counts or "no errors, no warnings"


def _failed(
    title: str,
    reasons: Sequence[str],
    folder: str,
    file: str | None = None,
    line: int | None = None,
) -> Iterator[str]:
    """An annotation with the first reason; the log has the others."""
    said = first_of(reasons) or "nothing was compared"
    yield annotation("error", title, said, folder, file, line)
    yield from (_line(f"also: {reason}") for reason in reasons[1:_MOST_REASONS])
    if len(reasons) > _MOST_REASONS:
        yield _line(f"and {len(reasons) - _MOST_REASONS:,} more")


def _warned(
    title: str,
    warnings: Sequence[str],
    folder: str,
    file: str | None = None,
    line: int | None = None,
) -> Iterator[str]:
    """An annotation for each note which says that less is proven than it seems."""
    for note in warnings:
        yield annotation("warning", title, note, folder, file, line)


def _line(text: str) -> str:
    """A line that is not a command: these start with `::`, or have `##[` anywhere."""
    words = " ".join(text.split()).replace("##[", f"##{_NOTHING}[")
    return f"{_NOTHING if words.startswith('::') else ''}{words}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
