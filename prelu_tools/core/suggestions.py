"""Suggestions for words that are not known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

_MOST_FILES = 2_000
_STEMS_ALIKE, _ENDINGS_ALIKE = 0.6, 0.7


def suggestion(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, or all of them if none is near."""
    import difflib  # only where something is wrong: help starts without it

    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"


def no_such_file(path: Path | str) -> str:
    """The sentence for a file that is not there, with the nearest name in its folder.

    Where a folder of the path is missing, the nearest folder is named instead.
    """
    path = Path(path)
    missing = next((one for one in (*reversed(path.parents), path) if not one.exists()), path)
    near = _nearest(missing)
    if near is not None and missing != path and (near / path.relative_to(missing)).exists():
        near /= path.relative_to(missing)
    return f"{path} cannot be read: no such file{f'; did you mean {near}?' if near else ''}"


def _nearest(path: Path) -> Path | None:
    """What lies beside a missing path with almost its name and almost its ending."""
    try:
        names = sorted(one.name for one in islice(path.parent.iterdir(), _MOST_FILES))
    except OSError:
        return None
    stem, _, ending = path.name.lower().partition(".")
    found = []
    for name in names:
        other, _, its_ending = name.lower().partition(".")
        likeness = _likeness(stem, other), _likeness(ending, its_ending)
        if likeness[0] >= _STEMS_ALIKE and likeness[1] >= _ENDINGS_ALIKE:
            found.append((sum(likeness), name))
    return path.with_name(max(found)[1]) if found else None


def _likeness(one: str, other: str) -> float:
    import difflib

    return difflib.SequenceMatcher(None, one, other).ratio()
