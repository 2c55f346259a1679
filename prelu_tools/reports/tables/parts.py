"""What the tables share: a grid, the colours of words, and how numbers are written."""

from __future__ import annotations

import textwrap
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results.inspection import InspectResult

COLOURS = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "ok": "green",
    "missing": "yellow",
    "broken": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
}


def grid(*headers: str, left: int = 1, folding: tuple[int, ...] = (0,)) -> Table:
    """A table.

    Args:
        headers: one a column.
        left: the columns from this one on are numbers, and stand to the right.
        folding: the columns that may break their text where there is too little room.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for position, header in enumerate(headers):
        justify: Literal["left", "right"] = "left" if position < left else "right"
        folds = position in folding
        table.add_column(header, justify=justify, overflow="fold", no_wrap=not folds)
    return table


def word(text: str) -> Text:
    """A verdict, a state or a severity in its colour."""
    return Text(text, style=COLOURS.get(text, ""))


def counted(number: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def origin(result: InspectResult) -> str:
    """The kind of a model, its opset and who wrote it, as far as these are known."""
    opset = f"opset {result.opset}" if result.opset else ""
    return ", ".join(part for part in (result.format, opset, result.producer) if part)


def number(value: float | None) -> str:
    """A slope or a difference in at most 8 characters; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"


def moved(value: float | None) -> str:
    """A change in at most 8 characters; 0 for none at all, a dash where it cannot be told."""
    return "0" if value == 0 else number(value)


def share(count: int, total: int) -> str:
    """How many of all, in percent: never 0% where there is one, nor 100% where one is missing."""
    if count == 0:
        return "0"
    percent = 100 * count / total
    if percent <= 0.5:
        return "<1%"
    return ">99%" if count < total and percent >= 99.5 else f"{percent:.0f}%"


def shape(sizes: tuple[int, ...]) -> str:
    """`32x1x1`; `()` for a scalar."""
    return "x".join(str(size) for size in sizes) or "()"


def percentage(part: float) -> str:
    """A share from 0 to 1, to a tenth of a percent."""
    return f"{100 * part:.1f}%"


def covered(coverage: float | None) -> str:
    """A coverage in percent, rounded down: 100% only where every slope was reached."""
    if coverage is None:
        return "-"
    percent = int(100 * coverage + 1e-9)
    return "<1%" if coverage and not percent else f"{percent}%"


def wrapped(text: str, width: int, indent: str = "", style: str = "") -> Text:
    """Text whose lines after the first stand two columns further in; long names stay whole."""
    lines = [
        textwrap.fill(
            line,
            width,
            initial_indent=f"{indent}  " if number else indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(text.splitlines())
    ]
    return Text("\n".join(lines), style=style)
