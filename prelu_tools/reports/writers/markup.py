"""Parts of Markdown: escaped text and names, tables and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~$&])")
_BAR = r"\|"
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def escaped(text: str) -> str:
    """Text that means itself: nothing in it marks anything up, breaks a line or calls anyone."""
    return " ".join(_MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\1", text)).split())


def code(text: str) -> str:
    """A name as code, whatever is in it."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], is_figure: Sequence[bool]) -> str:
    """A table; columns of figures are right-aligned."""
    marks = ["--:" if figure else ":--" for figure in is_figure]
    lines = [headers, marks, *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', _BAR) for cell in line)} |" for line in lines
    )


def bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)
