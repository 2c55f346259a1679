"""The report of `record`: what was written, and what every check with it will say."""

from __future__ import annotations

from prelu_tools.core.results.record import RecordResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Lines, Name, Section
from prelu_tools.reports.sentences import plain_notes, reached_of, warning_lines
from prelu_tools.reports.words import counted


def view(result: RecordResult, style: Style) -> Section:
    """The document of a recorded run."""
    searched = f" and {result.n_searched:,} found by a search" if result.n_searched else ""
    lines = [
        f"{counted(result.n_layers, 'PReLU layer')}, {counted(result.n_outputs, 'output')} "
        f"(expected values in {result.precision}), {counted(result.n_runs, 'run')}",
        f"{counted(result.samples, 'sample')}{searched}, seed {result.seed}; "
        f"{reached_of(result.coverage)}",
        *plain_notes(result.notes, ""),
    ]
    lines += [f"no check with it can pass: {doubt}" for doubt in result.doubts]
    lines.append(f"next: prelu-tools verify {result.path} CANDIDATE.onnx")
    title = (Name(result.source), " -> ", Name(result.path))
    by = f", {result.producer}" if result.producer else ""
    headline = f"{result.n_bytes:,} bytes, record format {result.format_version}{by}"
    warnings = warning_lines(result.warnings)
    return Section(title, (Lines.of(lines),), headline=headline, warnings=warnings)
