"""`make runtimes`: measure every cell and every net, and write the tables of docs/runtimes.md.

Cells that were measured by the same versions are taken from the table that is there, so that a run
which was stopped goes on; `--again` measures all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.runtimes import nets
from benchmarks.runtimes.cells import Cell, cells
from benchmarks.runtimes.measure import measured, runtimes
from benchmarks.runtimes.page import OF_NETS, of_shapes, write_page
from prelu_tools.graph.targets.slope_shapes import TABLE

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs/runtimes.md"


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--page-only", action="store_true", help="write the page from the table")
    parser.add_argument("--nets-only", action="store_true", help="measure the nets alone")
    given = parser.parse_args()
    if not given.page_only and not given.nets_only:
        _measure(given.again)
    write_page(of_shapes(json.loads(TABLE.read_text(encoding="utf-8"))), PAGE)
    if not given.page_only:
        write_page(nets.measured(), PAGE, OF_NETS)


def _measure(again: bool) -> None:
    found = runtimes()
    old = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    versions = {name: title for name, (title, _) in found.items()}
    rows = [] if again or old.get("versions") != versions else old["rows"]
    known = {key_of(row): row for row in rows}
    for cell in cells():
        if (key := (cell.input_text, cell.slope_text, cell.way)) not in known:
            known[key] = row_of(cell, measured(found, cell))
            print(known[key], flush=True)
            write_table(versions, known)


def key_of(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Which cell a row is of."""
    return row["input"], row["slope"], row["way"]


def row_of(cell: Cell, answers: Mapping[str, str]) -> dict[str, Any]:
    """A row of the table."""
    return {
        "input": cell.input_text,
        "slope": cell.slope_text,
        "way": cell.way,
        "rank": len(cell.shape),
        "pattern": cell.pattern,
        "as_axis_1": cell.is_as_axis_1,
        "answers": dict(answers),
    }


def write_table(
    versions: Mapping[str, str], known: Mapping[tuple[str, str, str], dict[str, Any]]
) -> None:
    """Write the table, in the order of the cells."""
    keys = [(cell.input_text, cell.slope_text, cell.way) for cell in cells()]
    rows = ",\n".join(f"    {json.dumps(known[key])}" for key in keys if key in known)
    head = json.dumps(dict(versions))
    TABLE.write_text(f'{{\n  "versions": {head},\n  "rows": [\n{rows}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
