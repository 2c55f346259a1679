"""Results as text: views turn results into documents, writers turn documents into text.

A new result is one view in `views/`; a new format is one writer in `writers/` and its name here.
Nothing here asks for the time, the terminal or a file.
"""

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
    from prelu_tools.core.results.quantization import QuantizeResult
    from prelu_tools.core.results.record import RecordResult
    from prelu_tools.core.results.series import SeriesResult
    from prelu_tools.core.results.verification.result import VerifyResult

Result: TypeAlias = (
    "InspectResult | CompareResult | ExportResult | OptimizeResult | QuantizeResult"
    " | VerifyResult | SeriesResult | DoctorResult | InitResult | RecordResult | BatchResult"
)
COMMON_FORMATS: tuple[str, ...] = ("table", "json", "markdown", "html")
"""What every command can write."""
_MORE_FORMATS: Mapping[str, tuple[str, ...]] = {
    "inspect": ("csv", "junit", "github", "sarif"),
    "quantize": ("junit",),
    "verify": ("junit", "github", "sarif"),
}


def formats_of(command: str) -> tuple[str, ...]:
    """The formats that make sense for a command: each a module of `writers`."""
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
    details: bool = False
    """Whether a table shows what a page folds."""
    folder: str = ""
    """The current folder's path within the repository, for formats that need it."""
    current: str = ""
    """The current folder itself, if that is requested."""


class Writer(Protocol):
    """A module of `writers`."""

    def render(self, result: Result, style: Style) -> str:
        """The result as text that ends in a newline."""
        ...


def render(result: Result, form: str, style: Style) -> str:
    """A result in one of the formats of its command.

    Raises:
        UsageError: the format cannot show this kind of result.
    """
    writer = cast(Writer, importlib.import_module(f"prelu_tools.reports.writers.{form}"))
    return writer.render(result, style)


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
