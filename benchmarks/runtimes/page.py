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
    """The table of slope shapes, in Markdown, with the versions of the runtimes before it.

    Shapes with the same answers share a row.
    """
    names = list(table["versions"])
    lines = [
        "Measured with",
        "",
        *(f"- {version}" for version in table["versions"].values()),
        "",
        f"| input | slopes | written as | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in table["rows"]:
        answers = [_WORDS[row["answers"].get(name)] for name in names]
        alike.setdefault((row["input"], WAYS[row["way"]], *answers), []).append(f"`{row['slope']}`")
    for (seen, way, *answers), slopes in alike.items():
        lines.append(f"| {' | '.join([seen, ', '.join(slopes), way, *answers])} |")
    return "\n".join(lines)
