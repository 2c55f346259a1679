"""Tables in a terminal: column widths, and what happens to columns without room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table as Grid
from rich.text import Text as Styled

from prelu_tools.reports.document import Cell, Name, Table, Word
from prelu_tools.reports.shortening import distinct

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
_ENOUGH, _LEAST = 24, 8  # cells of a name before a column gives way, and in any case

LeftOut = list[tuple[str, list[str]]]
"""The content of omitted columns, with the rows that it applies to."""


def grid(table: Table, width: int) -> tuple[Grid, LeftOut]:
    """The table within a width, and the content that had no room, by rows."""
    narrow = table.only([column.needed for column in table.columns])
    if len(narrow.columns) == len(table.columns) or _fits(table, width):
        return _drawn(_named(table, width), width), []
    shown = _named(narrow, width)
    return _drawn(shown, width), _grouped(table, [row[0] for row in shown.rows])


def _lines(cell: Cell) -> Sequence[str]:
    return (cell,) if isinstance(cell, str) else cell


def _widths(table: Table, folded: bool = False) -> list[int]:
    """What each column takes; with `folded`, where a text has a line for each word."""
    return [
        max(
            cell_len(part)
            for cell in (tuple(column.title.split("\n")), *(row[place] for row in table.rows))
            for line in (*_lines(cell), "")
            for part in (line.split() if folded and column.kind == "text" else (line,))
        )
        for place, column in enumerate(table.columns)
    ]


def _fits(table: Table, width: int) -> bool:
    """Whether it has room, with names that are not too short to know them by."""
    widths = [
        min(wide, _ENOUGH) if column.kind == "name" else wide
        for column, wide in zip(table.columns, _widths(table), strict=True)
    ]
    return sum(widths) + len(widths) - 1 <= width


def _grouped(table: Table, names: Sequence[Cell]) -> LeftOut:
    """The content of omitted columns, with the rows that it applies to."""
    places = [place for place, column in enumerate(table.columns) if not column.needed]
    groups: dict[str, list[str]] = {}
    for row, name in zip(table.rows, names, strict=True):
        said = " ".join(str(row[place]) for place in places if row[place])
        if said:
            groups.setdefault(said, []).append(" ".join(_lines(name)))
    n_rows = sum(isinstance(row[0], Name) for row in table.rows)  # not the total
    every = [f"all {table.columns[0].title}s"]
    return [(said, every if len(found) == n_rows > 1 else found) for said, found in groups.items()]


def _named(table: Table, width: int) -> Table:
    """The table with names that leave the other columns their room."""
    widths = _widths(table)
    names = [place for place, column in enumerate(table.columns) if column.kind == "name"]
    over = sum(widths) + len(widths) - 1 - width
    while over > 0 and names:
        widest = max(names, key=lambda place: widths[place])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
        over -= 1
    rows = [list(row) for row in table.rows]
    for place in names:
        short = distinct((line for row in rows for line in _lines(row[place])), widths[place])
        for row in rows:
            row[place] = tuple(short[line] for line in _lines(row[place]))
    return replace(table, rows=tuple(tuple(row) for row in rows))


def _drawn(table: Table, width: int) -> Grid:
    made = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    least = sum(_widths(table, folded=True)) + len(table.columns) - 1
    made.width = least if least > width else None  # a figure is never cut
    for place, column in enumerate(table.columns):
        first_word = column.kind == "word" and place < len(table.columns) - 1
        left = column.kind in ("name", "text") or first_word
        justify: Literal["left", "right"] = "left" if left else "right"
        folds = column.kind == "text"
        made.add_column(column.title, justify=justify, overflow="fold", no_wrap=not folds)
    for row in table.rows:
        total = row[0] == ("all",)
        made.add_row(*(_styled(cell) for cell in row), style="bold" if total else "")
    return made


def _styled(cell: Cell) -> Styled:
    colours = (COLOURS.get(one.status, "") if isinstance(one, Word) else "" for one in _lines(cell))
    lines = (Styled(one, style) for one, style in zip(_lines(cell), colours, strict=True))
    return Styled("\n").join(lines)
