"""Shorten long names in the middle, so that no two become the same; on a page, break them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len

_GAP = "…"
TOGETHER = 24
"""Characters of a name that a page never breaks."""
_BREAKS = re.compile(r"(?<!^.)(?:(?<=[/._:])(?=[^/._:]+[/._:])|(?<=[/_:])(?=[^/._:]))")
"""Behind separators; not behind the first character, nor before a suffix."""


def shortened(name: str, width: int, tail: int | None = None) -> str:
    """A name shortened to a number of terminal cells: its beginning and its end.

    Args:
        name: the name.
        width: cells, at least 1.
        tail: cells for the end; half of the room by default.
    """
    if cell_len(name) <= width:
        return name
    room = width - 1
    end = _last(name, room // 2 if tail is None else min(tail, room))
    return _first(name, room - cell_len(end)) + _GAP + end


def distinct(names: Iterable[str], width: int) -> Mapping[str, str]:
    """Each name shortened; names that would look the same show where they differ."""
    short = {name: shortened(name, width) for name in names}
    groups: dict[str, list[str]] = {}
    for name, text in short.items():
        groups.setdefault(text, []).append(name)
    for group in groups.values():
        if len(group) > 1:
            short.update(_told_apart(group, width))
    return short


def _told_apart(names: Sequence[str], width: int) -> dict[str, str]:
    """Another split into beginning and end, or where they differ, or else a number."""
    for start in (0, *_starts(names)):
        rest = {name: _GAP + name[start:] if start else name for name in names}
        for tail in sorted(range(width), key=lambda cells: abs(2 * cells - width)):
            found = _if_distinct(rest, width, tail)
            if found is not None:
                return found
    return {
        name: shortened(name, width - len(mark)) + mark
        for mark, name in ((f"~{number}", name) for number, name in enumerate(names, 1))
    }


def _if_distinct(rest: Mapping[str, str], width: int, tail: int) -> dict[str, str] | None:
    """Each name shortened; None as soon as two are the same: there may be very many."""
    found: dict[str, str] = {}
    seen = set()
    for name, text in rest.items():
        found[name] = shortened(text, width, tail)
        if found[name] in seen:
            return None
        seen.add(found[name])
    return found


def _starts(names: Sequence[str]) -> Iterator[int]:
    """Where what they have in common may be cut: before the part that differs, or in it."""
    same = _common(names)
    yield from sorted({names[0].rfind(mark, 0, same) + 1 for mark in "./_"} - {0})
    yield max(1, same - 2)


def _common(names: Sequence[str]) -> int:
    """How many characters all of them begin with."""
    rows = enumerate(zip(*names, strict=False))
    return next((place for place, row in rows if len(set(row)) > 1), min(map(len, names)))


def _first(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[: len(text) - max(1, (cell_len(text) - width) // 2)]
    return text


def _last(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[max(1, (cell_len(text) - width) // 2) :]
    return text


def breakable(name: str) -> str:
    """A name as HTML; a long one may be broken behind its separators, before anywhere else."""
    text = html.escape(name, quote=True)
    return text if len(name) <= TOGETHER else _BREAKS.sub("<wbr>", text)
