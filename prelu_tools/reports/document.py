"""A document: what a result says, as data. Views build it, writers turn it into text.

A section has a title, a verdict if there is one, a headline, and the reasons for the verdict; then
its blocks: sentences, facts, tables, the slopes of layers, sections again. Nothing is said
twice: a reason is not repeated in a block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from prelu_tools.core.results.inspection import LayerReport
    from prelu_tools.core.results.series import LayerSeries, SeriesPoint


class Name(str):
    """A name out of a model or of a file system: shown as it is, whatever is in it."""

    link: str = ""
    """Where it leads on a page: `#anchor`, or a file next to the page; "" for nowhere."""

    def __new__(cls, text: str, link: str = "") -> Name:
        """Take the name and where it leads."""
        made = super().__new__(cls, text)
        made.link = link
        return made


class Word(str):
    """A verdict, a state or a severity: it has a colour."""

    status: str
    """The one whose colour it has, where the word is another: `differ` is a `fail`."""

    def __new__(cls, text: str, status: str = "") -> Word:
        """Take the word and its colour."""
        made = super().__new__(cls, text)
        made.status = status or text
        return made


class Share(str):
    """A figure that is a part of a whole; a page draws it as a bar."""

    part: float | None
    """From 0 to 1, or more where it is too much; None if it is not known."""

    def __new__(cls, text: str, part: float | None) -> Share:
        """Take the figure as text and as a number."""
        made = super().__new__(cls, text)
        made.part = part
        return made


Text: TypeAlias = str | tuple[str, ...]
"""A sentence, or its parts, among which names and words are marked."""
Cell: TypeAlias = str | tuple[str, ...]
"""What a table has in one place; of several names, each is on its own line."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    """Its header; a line break where a narrow table may break it."""
    kind: Literal["name", "text", "word", "figure"] = "figure"
    """What its cells are: a `name` is never broken, and shortened where it is too long."""
    needed: bool = True
    """Whether a narrow table keeps it; its content is then shown below the table."""
    brief: bool = True
    """Whether a terminal shows it at all; pages and Markdown show every column."""
    drawn: bool = False
    """Whether it is a drawing made of letters, which a page leaves out next to a real one."""
    meaning: str = ""
    """What it holds, where its title does not say so; a legend below the table gives it."""
    absent: str = ""
    """What a dash in it means; the legend gives it where there is one."""


@dataclass(frozen=True)
class Table:
    """Rows of cells."""

    columns: tuple[Column, ...]
    """The first one names the row."""
    rows: tuple[tuple[Cell, ...], ...]
    """Each with a cell for each column."""
    sortable: bool = False
    """Whether a page lets the reader sort and search it."""

    @property
    def legend(self) -> str:
        """What the columns mean, where their titles do not say it; those of one meaning at once.

        Then what dashes mean; with their columns, where they mean several things.
        """
        shown = self.without()
        dashed = [
            any("-" in _lines_of(row[i]) for row in shown.rows) for i in range(len(shown.columns))
        ]
        absent = _by_words(
            (c.absent, c) for c, has_dash in zip(shown.columns, dashed, strict=True) if has_dash
        )
        meanings = _by_words((column.meaning, column) for column in shown.columns)
        parts = [f"{', '.join(named)}: {meaning}" for meaning, named in meanings.items()]
        for words, named in absent.items():
            where = f" in {', '.join(named)}" if len(absent) > 1 else ""
            parts.append(f"-{where}: {words}")
        return "; ".join(parts)

    def without(self) -> Table:
        """The same without columns that have no content."""
        places = range(len(self.columns))
        return self.only([any(row[i] not in ("", "-") for row in self.rows) for i in places])

    def only(self, wanted: Sequence[bool]) -> Table:
        """The same with those columns for which `wanted` is true."""
        columns = tuple(compress(self.columns, wanted))
        return replace(
            self, columns=columns, rows=tuple(tuple(compress(row, wanted)) for row in self.rows)
        )


def _by_words(columns: Iterable[tuple[str, Column]]) -> dict[str, list[str]]:
    """The titles of the columns that have the same words; those without words are left out."""
    titles: dict[str, list[str]] = {}
    for words, column in columns:
        if words:
            titles.setdefault(words, []).append(" ".join(column.title.split()))
    return titles


def _lines_of(cell: Cell) -> tuple[str, ...]:
    return (cell,) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class Lines:
    """Sentences, a line each."""

    items: tuple[Text, ...]
    """The sentences."""
    title: str = ""
    """What they are; "" if they say it themselves."""

    @classmethod
    def of(cls, items: Iterable[Text], title: str = "") -> Lines:
        """Those of any number, also of none."""
        return cls(tuple(items), title)


@dataclass(frozen=True)
class Facts:
    """Things with a label each."""

    pairs: tuple[tuple[str, Text], ...]
    """Label and thing."""


@dataclass(frozen=True)
class Slopes:
    """The slopes of a model's layers: as tables, and drawn if there is something to draw on."""

    tables: tuple[Table, ...]
    """Statistics, a row a layer."""
    layers: tuple[LayerReport, ...]
    """What is drawn."""


@dataclass(frozen=True)
class Course:
    """How the slopes of layers moved: as a table, and drawn if there is something to draw on."""

    table: Table
    """A row a layer."""
    points: tuple[SeriesPoint, ...]
    """What the layers were looked at, in order."""
    layers: tuple[LayerSeries, ...]
    """What is drawn."""

    @property
    def numbers(self) -> Table:
        """The table without what a drawing shows better: bars made of letters."""
        return self.table.only([not column.drawn for column in self.table.columns])


@dataclass(frozen=True)
class Written:
    """A report in the writer's own format, written where its result was."""

    text: str
    """The report."""


@dataclass(frozen=True)
class Section:
    """A document, or a part of one that has its own title."""

    title: Text
    """What it is about."""
    blocks: tuple[Block, ...] = ()
    """What it has to say, in order."""
    verdict: str = ""
    """A verdict or a status; "" if there is none."""
    headline: str = ""
    """One sentence next to the title or the verdict."""
    reasons: tuple[Text, ...] = ()
    """Why the verdict is not a pass, or what was found; the first one matters most."""
    warnings: tuple[Text, ...] = ()
    """What makes it prove less than it seems to: shown with the reasons, however many those are."""
    remarks: tuple[Text, ...] = ()
    """What is worth knowing in any case, and about nothing in particular: shown last."""
    folded: bool = False
    """Whether its blocks are details: a page folds them, a terminal shows them with `-v`."""
    anchor: str = ""
    """The name under which a page finds it."""
    on_pages: bool = False
    """Whether its blocks are for pages alone, which fold them; elsewhere they would be too much."""


Block: TypeAlias = Table | Lines | Facts | Slopes | Course | Written | Section


def plain(text: Text) -> str:
    """A text without its marks."""
    return text if isinstance(text, str) else "".join(text)


def tidied(section: Section, said: set[tuple[str, bool]] | None = None) -> Section:
    """The document without empty tables, each meaning below the first table that needs it.

    Args:
        section: the document.
        said: the meanings that tables before it gave, each with whether a terminal shows it.
    """
    said = set() if said is None else said
    blocks: list[Block] = []
    for block in section.blocks:
        if isinstance(block, Section):
            block = tidied(block, said)
        elif isinstance(block, Table):
            if not block.rows:
                continue
            shown = {(_explained(column), column.brief) for column in block.without().columns}
            columns = (
                replace(column, meaning="") if _is_said(column, said) else column
                for column in block.columns
            )
            block = replace(block, columns=tuple(columns))
            said |= shown
        blocks.append(block)
    return replace(section, blocks=tuple(blocks))


def _is_said(column: Column, said: set[tuple[str, bool]]) -> bool:
    """Whether everybody who sees the column has its meaning: a terminal leaves some tables' out."""
    text = _explained(column)
    return (text, True) in said or (not column.brief and (text, False) in said)


def _explained(column: Column) -> str:
    return f"{column.title}: {column.meaning}"


def holds(section: Section, kind: type) -> bool:
    """Whether a block of this kind is in it, however deep."""
    return any(
        isinstance(block, kind) or (isinstance(block, Section) and holds(block, kind))
        for block in section.blocks
    )
