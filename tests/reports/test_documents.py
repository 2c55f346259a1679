"""Every result has a view, every view works in every writer, and nothing is said twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_pages import pages

from prelu_tools.reports import COMMON_FORMATS, Style, render, views
from prelu_tools.reports.document import Cell, Column, Facts, Lines, Section, Table, plain, tidied

RESULTS = pages()
FROM_DOCUMENTS = ("table", "markdown", "html", "notebook")
_LONG_ENOUGH = 25  # characters of a sentence; shorter ones are figures and names


def _sentences(section: Section) -> Iterator[str]:
    yield section.headline
    yield from map(plain, section.reasons)
    for block in section.blocks:
        if isinstance(block, Section):
            yield from _sentences(block)
        elif isinstance(block, Lines):
            yield from map(plain, block.items)
        elif isinstance(block, Facts):
            yield from (plain(thing) for _, thing in block.pairs)
        elif isinstance(block, Table):
            yield block.legend


@pytest.mark.parametrize("name", [name for name in RESULTS if name not in ("checks", "verify-two")])
def test_no_sentence_stands_twice_in_a_document(name: str) -> None:
    said = Counter(_sentences(views.view_of(RESULTS[name], Style())))
    assert {text: n for text, n in said.items() if n > 1 and len(text) >= _LONG_ENOUGH} == {}


@pytest.mark.parametrize("form", FROM_DOCUMENTS)
@pytest.mark.parametrize("name", RESULTS)
def test_every_writer_writes_every_document(name: str, form: str) -> None:
    brief = render(RESULTS[name], form, Style())
    full = render(RESULTS[name], form, Style(details=True, others=True, slopes=True))
    assert brief.endswith("\n")
    assert len(full) >= len(brief)


def test_every_kind_of_result_has_a_view_and_every_view_a_kind() -> None:
    folder = Path(views.__file__).parent
    there = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(views._VIEWS.values()) == there
    assert set(COMMON_FORMATS) - {"json"} <= set(FROM_DOCUMENTS)


def test_a_legend_explains_the_columns_that_say_something() -> None:
    columns = (
        Column("a", meaning="one"),
        *(Column("b\nc", meaning="two"), Column("d", meaning="two")),
        *(Column("e"), Column("f", meaning="three")),
    )
    assert Table(columns, (("1", "2", "3", "4", "-"),)).legend == "a: one; b c, d: two"


def test_a_legend_explains_dashes_where_there_are_any() -> None:
    columns = (
        *(Column("a", meaning="one", absent="lost"), Column("b", absent="lost")),
        *(Column("c", absent="never"), Column("d", meaning="four"), Column("e", absent="empty")),
    )
    rows: list[tuple[Cell, ...]] = [("1", "-", "3", "4", "-"), ("1", "2", "3", "-", "-")]
    assert Table(columns, tuple(rows)).legend == "a: one; d: four; -: lost"
    rows += [("-", "2", ("3", "-"), "-", "-")]
    assert Table(columns, tuple(rows)).legend == ("a: one; d: four; - in a, b: lost; - in c: never")
    assert Table(columns, (("1", "2", "3", "4", "5"),)).legend == "a: one; d: four"


def test_a_column_that_a_terminal_left_out_is_explained_where_it_is_shown() -> None:
    left_out, shown = Column("a", meaning="one", brief=False), Column("a", meaning="one")
    section = Section("x", (Table((left_out,), (("1",),)), Table((shown,), (("1",),))))
    assert [t.legend for t in tidied(section).blocks if isinstance(t, Table)] == ["a: one"] * 2


def test_empty_tables_go_and_legends_stay_once() -> None:
    columns = (Column("x", meaning="what it means"), Column("y"))
    full, empty = Table(columns, (("a", "b"),)), Table(columns, ())
    section = Section("x", (empty, full, Section("y", (full,))))
    first, inner = tidied(section).blocks
    assert isinstance(first, Table)
    assert first.legend == "x: what it means"
    assert isinstance(inner, Section)
    (second,) = inner.blocks
    assert isinstance(second, Table)
    assert second.legend == ""
