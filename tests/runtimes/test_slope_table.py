"""The table of slope shapes says what the installed runtimes do: a changed answer fails here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import ROOT

from benchmarks.runtimes.cells import Cell, cells
from benchmarks.runtimes.measure import answer, runtimes
from benchmarks.runtimes.page import of_shapes, write_page
from benchmarks.runtimes.run import key_of
from prelu_tools.graph.targets.slope_shapes import TABLE, answer_of

_ASKED = (
    Cell((1, 4, 5, 6), (4, 1, 1)),
    Cell((1, 4, 5, 6), (4, 5, 6)),
    Cell((1, 4, 5, 4), (4,)),
    Cell((1, 4, 6), (1, 6)),
    Cell((1, 4, 6), (1, 1, 6)),
    Cell((1, 4, 6), (1, 1, 6), "transpose"),
    Cell((1, 4, 5, 6), (4, 5, 6), "relu"),
)


@pytest.mark.runtimes
@pytest.mark.parametrize(
    "cell", _ASKED, ids=lambda cell: f"{cell.input_text} {cell.slope_text} {cell.way}"
)
def test_the_answers_are_those_of_the_table(cell: Cell) -> None:
    found = {name: answer(cell, run) for name, (_, run) in runtimes().items()}
    assert found == {name: answer_of(name, cell.shape, cell.slope, cell.way) for name in found}


def test_the_table_has_every_cell() -> None:
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["rows"]
    asked = [(cell.input_text, cell.slope_text, cell.way) for cell in cells()]
    assert [key_of(row) for row in rows] == asked
    assert len(set(asked)) == len(asked)


def test_the_page_has_the_table(tmp_path: Path) -> None:
    page = ROOT / "docs/runtimes.md"
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(of_shapes(json.loads(TABLE.read_text(encoding="utf-8"))), copy)
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
