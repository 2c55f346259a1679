"""What `doctor` found, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.export import DoctorResult
from prelu_tools.reports.tables.parts import grid, word


def doctor_table(result: DoctorResult) -> RenderableType:
    """What was looked at, and what to do."""
    table = grid("", "state", "found", left=3)
    sections = (
        ("core", result.core),
        ("extras", result.extras),
        ("providers", result.providers),
        ("runtimes", result.runtimes),
    )
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
