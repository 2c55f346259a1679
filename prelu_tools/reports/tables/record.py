"""What `record` wrote, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.record import RecordResult
from prelu_tools.reports import Style
from prelu_tools.reports.tables.parts import counted, wrapped


def record_text(result: RecordResult, style: Style) -> RenderableType:
    """What the record holds, and what every check with it will say."""
    title = Text(f"{result.source} -> {result.path}", style="bold")
    return Group(title, *(wrapped(line, style.width) for line in record_lines(result)))


def record_lines(result: RecordResult) -> list[str]:
    """The same in sentences."""
    searched = f" ({result.n_searched:,} found by a search)" if result.n_searched else ""
    lines = [
        f"{result.n_bytes:,} bytes, of {result.source} ({result.producer})",
        f"{counted(result.n_layers, 'PReLU layer')}, {counted(result.n_outputs, 'output')} in "
        f"{result.precision}, {counted(result.n_runs, 'run')}",
        f"{counted(result.samples, 'input')}{searched}, seed {result.seed}; "
        f"{result.coverage.exercised:,} of {result.coverage.total:,} slopes met a negative input",
        *result.notes,
    ]
    lines += [f"no check with it can pass: {doubt}" for doubt in result.doubts]
    return [*lines, f"next: prelu-tools verify {result.path} CANDIDATE.onnx"]
