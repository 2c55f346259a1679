"""Views: one file for each kind of result, with a function `view` that makes it a document."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from prelu_tools.reports import Result, Style
from prelu_tools.reports.document import Section, tidied
from prelu_tools.reports.printable import LONGEST, cleaned

# By name: a command would wait for the classes of all the others to be made.
_VIEWS: Mapping[str, str] = {
    "InspectResult": "inspect",
    "CompareResult": "compare",
    "SeriesResult": "series",
    "VerifyResult": "verify",
    "ExportResult": "export",
    "OptimizeResult": "optimize",
    "QuantizeResult": "quantize",
    "DoctorResult": "doctor",
    "InitResult": "init",
    "RecordResult": "record",
    "BatchResult": "batch",
}


class View(Protocol):
    """A module of this package."""

    def view(self, result: object, style: Style) -> Section:
        """The document that shows a result, with every text printable."""
        ...


def view_of(result: Result, style: Style) -> Section:
    """The document that shows a result; no text in it steers a terminal."""
    name = _VIEWS[type(result).__name__]
    view = cast(View, importlib.import_module(f"prelu_tools.reports.views.{name}"))
    return tidied(view.view(cleaned(result, LONGEST), style))
