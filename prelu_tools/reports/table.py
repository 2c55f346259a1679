"""Tables for people: aligned, at most as wide as they are told, colour only where it is wanted."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console, RenderableType

from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import LONGEST, cleaned

NARROWEST = 80
"""A terminal that is narrower breaks the lines itself: numbers are never cut."""


def render(result: Result, style: Style) -> str:
    """The result as text."""
    style = replace(style, width=max(style.width, NARROWEST))
    out = io.StringIO()
    console = Console(
        file=out,
        width=style.width,
        force_terminal=style.colour,
        force_jupyter=False,  # else it shows the text there, and writes nothing
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(_body(cleaned(result, LONGEST), style))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()) + "\n"


def _body(result: Any, style: Style) -> RenderableType:
    """The table of a result; only what it needs is imported, `inspect` being in a hurry."""
    kind = type(result).__name__
    if kind == "InspectResult":
        from prelu_tools.reports.tables.inspect import inspect_table

        return inspect_table(result, style)
    if kind == "CompareResult":
        from prelu_tools.reports.tables.compare import compare_table

        return compare_table(result)
    if kind == "VerifyResult":
        from prelu_tools.reports.tables.verify import verify_tables

        return verify_tables(result, style)
    if kind == "ExportResult":
        from prelu_tools.reports.tables.export import export_text

        return export_text(result)
    if kind == "OptimizeResult":
        from prelu_tools.reports.tables.optimize import optimize_table

        return optimize_table(result, style.width)
    if kind == "InitResult":
        from prelu_tools.reports.tables.init import init_table

        return init_table(result, style)
    if kind == "RecordResult":
        from prelu_tools.reports.tables.record import record_text

        return record_text(result, style)
    if kind == "BatchResult":
        from prelu_tools.reports.zoo.table import batch_table

        return batch_table(result, style)
    from prelu_tools.reports.tables.doctor import doctor_table

    return doctor_table(result)
