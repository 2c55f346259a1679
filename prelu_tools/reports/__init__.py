"""Results as text: one file a format, and nothing else (no clock, no terminal, no file)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from prelu_tools.core.errors import UsageError

if TYPE_CHECKING:
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.comparison import CompareResult
    from prelu_tools.core.results.export import DoctorResult, ExportResult, InitResult
    from prelu_tools.core.results.inspection import InspectResult
    from prelu_tools.core.results.optimization import OptimizeResult
    from prelu_tools.core.results.record import RecordResult
    from prelu_tools.core.results.verification import VerifyResult

Result: TypeAlias = (
    "InspectResult | CompareResult | ExportResult | OptimizeResult | VerifyResult"
    " | DoctorResult | InitResult | RecordResult | BatchResult"
)
COMMON_FORMATS: tuple[str, ...] = ("table", "json", "markdown")
"""What every command can write."""
_MORE_FORMATS: Mapping[str, tuple[str, ...]] = {
    "inspect": ("csv", "html"),
    "verify": ("html", "junit", "github"),
}


def formats_of(command: str) -> tuple[str, ...]:
    """The formats that make sense for a command: each a module of this package."""
    return (*COMMON_FORMATS, *_MORE_FORMATS.get(command, ()))


def commands_with(form: str) -> tuple[str, ...]:
    """The commands that have a format which not every command has; none if it is unknown."""
    return tuple(command for command, forms in _MORE_FORMATS.items() if form in forms)


@dataclass(frozen=True)
class Style:
    """How a result is to look."""

    width: int = 80
    """Columns that a table may take."""
    colour: bool = False
    """Whether it may have colour."""
    slopes: bool = False
    """Whether each slope's value is shown."""
    others: bool = False
    """Whether each LeakyRelu and Relu is shown, and not their number alone."""
    folder: str = ""
    """Of the current folder, its place in the repository, where that is asked for."""


class Report(Protocol):
    """A module of this package."""

    def render(self, result: Result, style: Style) -> str:
        """The result as text that ends in a newline."""
        ...


def render(result: Result, form: str, style: Style) -> str:
    """A result in one of the formats of its command.

    Raises:
        UsageError: the format cannot show this kind of result.
    """
    report = cast(Report, importlib.import_module(f"prelu_tools.reports.{form}"))
    return report.render(result, style)


def render_named(result: Result, form: str, style: Style) -> str:
    """The same for a format that a program names, which may be none.

    Raises:
        UsageError: there is no such format, or it cannot show this kind of result.
    """
    known = {*COMMON_FORMATS, "notebook", *(f for forms in _MORE_FORMATS.values() for f in forms)}
    if form not in known:
        raise UsageError(
            f"{form!r} is not a valid format: expected one of {', '.join(sorted(known))}"
        )
    return render(result, form, style)
