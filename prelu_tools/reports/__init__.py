"""Results as text: one file a format, and nothing else (no clock, no terminal, no file)."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol, cast

from prelu_tools.core.inspection import InspectResult
from prelu_tools.core.results import DoctorResult, ExportResult, VerifyResult

Result = InspectResult | ExportResult | VerifyResult | DoctorResult
FORMATS: tuple[str, ...] = ("table", "json")


@dataclass(frozen=True)
class Style:
    """How a result is to look."""

    width: int = 80
    """Columns that a table may take."""
    colour: bool = False
    """Whether it may have colour."""
    slopes: bool = False
    """Whether each slope's value is shown."""


class Report(Protocol):
    """A module of this package."""

    def render(self, result: Result, style: Style) -> str:
        """The result as text that ends in a newline."""
        ...


def render(result: Result, form: str, style: Style) -> str:
    """A result in one of `FORMATS`."""
    report = cast(Report, importlib.import_module(f"prelu_tools.reports.{form}"))
    return report.render(result, style)
