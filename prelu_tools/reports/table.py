"""Tables for people: aligned, at most as wide as they are told, colour only where it is wanted."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, RenderableType

from prelu_tools.core.inspection import CompareResult, InspectResult
from prelu_tools.core.results import ExportResult, VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.tables.compare import compare_table
from prelu_tools.reports.tables.inspect import inspect_table
from prelu_tools.reports.tables.verify import doctor_table, export_text, verify_tables

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
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    console.print(_body(cleaned(result), style))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()) + "\n"


def _body(result: Result, style: Style) -> RenderableType:
    if isinstance(result, InspectResult):
        return inspect_table(result, style)
    if isinstance(result, CompareResult):
        return compare_table(result)
    if isinstance(result, VerifyResult):
        return verify_tables(result)
    if isinstance(result, ExportResult):
        return export_text(result)
    return doctor_table(result)
