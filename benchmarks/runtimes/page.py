"""The page of the docs: its two tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.runtimes.cells import WAYS

_BEGIN, _END = "<!-- table: made by make runtimes -->", "<!-- end of table -->"
OF_NETS = "<!-- nets: made by make runtimes -->"
"""Where the table of nets begins."""
_WORDS = {"right": "right", "wrong": "**wrong**", "refused": "refused", None: "-"}


def write_page(lines: str, page: Path, begin: str = _BEGIN) -> None:
    """Put a table in its place on the page.

    Raises:
        ValueError: the page has no place for it.
    """
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(_END)
    if not found or not end:
        raise ValueError(f"{page} has no place for the table")
    page.write_text(f"{before}{begin}\n{lines}\n{_END}{after}", encoding="utf-8")


def of_shapes(table: Mapping[str, Any]) -> str:
    """The table of slope shapes, in Markdown, with the versions of the runtimes before it."""
    names = list(table["versions"])
    lines = [
        "Measured with",
        "",
        *(f"- {version}" for version in table["versions"].values()),
        "",
        f"| input | slope | written as | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for row in table["rows"]:
        answers = [_WORDS[row["answers"].get(name)] for name in names]
        cells = [row["input"], f"`{row['slope']}`", WAYS[row["way"]], *answers]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
