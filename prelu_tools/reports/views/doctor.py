"""The report of `doctor`: each item with its state, and what to do."""

from __future__ import annotations

from prelu_tools.core.results.export import DoctorResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Column, Lines, Section, Table, Word


def view(result: DoctorResult, style: Style) -> Section:
    """The document of a machine."""
    parts = (
        ("core", result.core),
        ("extras", result.extras),
        ("providers", result.providers),
        ("runtimes", result.runtimes),
    )
    columns = (
        Column("", "text"),
        Column("what", "text"),
        Column("state", "word"),
        Column("found", "text"),
    )
    rows = [
        ("" if number else part, item.name, Word(item.state), item.detail)
        for part, items in parts
        for number, item in enumerate(items)
    ]
    needing: dict[str, list[str]] = {}
    for part, items in parts:
        for item in items:
            if item.advice and item.state != "ok":
                name = item.name.rpartition(": ")[2]
                said = f"provider {name}" if part == "providers" else name
                needing.setdefault(item.advice, []).append(said)
    advice = [f"{', '.join(names)}: {what}" for what, names in needing.items()]
    blocks = (Table(columns, tuple(rows)), Lines.of(advice, "To install what is missing:"))
    return Section(f"Python {result.python} on {result.platform}", blocks)
