"""The report of `init`: the checks, what was left out, and what to type next."""

from __future__ import annotations

from prelu_tools.core.results.export import InitResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Column, Lines, Name, Section, Table, Text
from prelu_tools.reports.sentences import warning_lines
from prelu_tools.reports.words import counted

_MOST_LINES = 20
_PAIRED_BY = {"metadata": "metadata", "name": "name", "only_pair": "no other"}


def view(result: InitResult, style: Style) -> Section:
    """The document of a list of checks."""
    ready = [check for check in result.checks if not check.needed]
    columns = (
        Column("reference", "name"), Column("candidates", "name"), Column("paired by", "word"),
        *([Column("matches")] if any(check.n_models > 1 for check in ready) else []),
    )  # fmt: skip
    rows = [
        (
            Name(check.reference), tuple(map(Name, check.candidates)), _PAIRED_BY[check.paired_by],
            f"{check.n_models:,}",
        )[: len(columns)]
        for check in ready
    ]  # fmt: skip
    lines = _lines(result)
    rest = len(lines) - _MOST_LINES
    more = [f"left out  {rest:,} more: --format json names them"] if rest > 0 else []
    files = " and ".join(name for name in (result.path, result.schema_path) if name)
    to_fill = len(result.checks) - len(rows)
    number = f"{counted(len(rows), 'check')}{f', {to_fill:,} to complete' if to_fill else ''}"
    wrote = [f"wrote {files}: {number}, not run yet"]
    once = "" if rows else " (once they are complete)"
    wrote.append(f"next: prelu-tools verify{once}")
    if not result.checks:
        wrote = [f"{result.path} already lists every model that was found"]
    blocks = (Table(columns, tuple(rows)), Lines.of((*lines[:_MOST_LINES], *more)))
    warnings = warning_lines(result.warnings)
    return Section((Name(result.path),), blocks, reasons=tuple(wrote), warnings=warnings)


def _lines(result: InitResult) -> list[Text]:
    """What is left to do, and what stays out."""
    lines: list[Text] = [
        ("left out  ", Name(one.path), f": {one.reason}") for one in result.left_out
    ]
    lines += [
        ("record    ", Name(check.reference), ": used in place of ", Name(check.record_of))
        for check in result.checks
        if check.record_of
    ]
    lines += [
        (
            "fill in   ",
            Name(check.reference),
            f": in {result.path}, give {' and '.join(check.needed)} and uncomment the check of "
            f"{check.candidates[0]}",
        )
        for check in result.checks
        if check.needed
    ]
    lines += [
        (
            "not set   ",
            Name(check.reference),
            f": {' and '.join(check.withheld)} can run code: uncomment it in {result.path} if you "
            "trust the model",
        )
        for check in result.checks
        if check.withheld
    ]
    lines += [
        ("left out  ", Name(path), ": it has another data type, so it is only named in a comment")
        for check in result.checks
        for path in check.variants
    ]
    lines += [
        ("ignored   ", Name(path), ": git ignores it, and CI needs it; add it with git add -f")
        for path in result.ignored
    ]
    lines += [
        (
            "ignored   ",
            Name(path),
            ": git ignores it; where it is missing, verify cannot notice that its record is out of "
            "date",
        )
        for path in result.ignored_models
    ]
    return lines
