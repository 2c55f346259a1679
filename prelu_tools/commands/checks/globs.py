"""Globs in a list of checks: a reference that names many files, and candidates that follow it.

A reference's glob makes a check of each match. Its candidates say by a placeholder which file
belongs to which match, `models/{stem}.onnx`, and may be globs too.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.backends.spelling import FileName, exists, parse_spelling, python_parts
from prelu_tools.commands.checks.fields import suggestion
from prelu_tools.core.errors import UsageError

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_MARK = "__place__"  # part of a name in Python
_KNOWN = ("stem", "name", "folder")


@dataclass(frozen=True)
class Match:
    """A reference that a glob found, or one that was written out."""

    reference: str
    """The source."""
    places: Mapping[str, str] | None
    """What the placeholders stand for; None where the reference is not a glob."""


@dataclass(frozen=True)
class Candidates:
    """The candidates of one match."""

    sources: tuple[str, ...]
    """All that were found or written out; no source twice."""
    written: Mapping[str, str]
    """Each of them, and what it was found by, as the file spells it."""
    missing: tuple[str, ...]
    """Globs that match nothing."""


def matches(reference: str) -> tuple[Match, ...]:
    """What a reference stands for: itself, or, in order of name, the files that its glob matches.

    Raises:
        UsageError: it is spelled like nothing that is known, or has globs at two places.
    """
    pattern = _pattern(reference)
    if pattern is None:
        return (Match(reference, None),)
    start = reference.rindex(pattern)
    head, tail = reference[:start], reference[start + len(pattern) :]
    spelled = FileName if pattern == reference else str
    return tuple(
        Match(spelled(f"{head}{found}{tail}"), _places(found))
        for found in _found(pattern, tail != "")
    )


def placeholders(text: str) -> tuple[str, ...]:
    """The names that stand in braces in it."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def filled(text: str, match: Match, escape: bool = False) -> str:
    """A text of the check with its placeholders filled in.

    Args:
        text: of the check.
        match: of its reference.
        escape: whether what is filled in is to mean itself in a glob.

    Raises:
        UsageError: it has one that is not known, or the reference is not a glob.
    """

    def value(found: re.Match[str]) -> str:
        if match.places is None:
            raise UsageError(
                f"{text!r} has {found[0]}, which follows the glob of a reference, and the "
                f"reference {match.reference!r} is none"
            )
        if found[1] not in match.places:
            raise UsageError(
                f"{text!r}: unknown placeholder {found[0]}; {suggestion(found[1], _KNOWN)}"
            )
        return glob.escape(match.places[found[1]]) if escape else match.places[found[1]]

    return text if match.places is None and exists(text) else _PLACE.sub(value, text)


def _source(text: str, match: Match, escape: bool = False) -> str:
    """A candidate with its placeholders filled in: a file is one, whatever its name is.

    Raises:
        UsageError: as `filled`; or what is filled in would be Python code, and is not a name there.
    """
    found = filled(text, match, escape)
    marked = _PLACE.sub(lambda one: f"{_MARK}{one[1]}", text)
    parts = python_parts(marked)
    if not placeholders(text) or match.places is None:
        return found
    if parts is None:
        return FileName(found)
    used = [value for name, value in match.places.items() if f"{_MARK}{name}" in parts[0]]
    if not all(value.isidentifier() for value in used):
        raise UsageError(
            f"{found!r} is not a source: it is not a Python name, which {text!r} needs"
        )
    return found


def candidates_of(written: Sequence[str], match: Match) -> Candidates:
    """The candidates of a match; a glob leaves the reference itself out.

    Raises:
        UsageError: a placeholder is wrong, or nothing says which candidate belongs to which match.
    """
    if match.places is not None and not any(placeholders(text) for text in written):
        raise UsageError(
            f"the reference is a glob, and no candidate says what belongs to which match: expected "
            f'a placeholder, as in "{{stem}}.onnx" ({", ".join(f"{{{name}}}" for name in _KNOWN)})'
        )
    sources: dict[str, str] = {}
    missing = []
    for text in written:
        # What a match is called may look like a pattern; only what the file says is one.
        pattern = _pattern(_PLACE.sub("x", text))
        found = [_source(text, match)]
        if pattern is not None:
            spelled = _source(text, match, escape=True)
            found = [one.reference for one in matches(spelled) if one.reference != match.reference]
            missing += [] if found else [filled(text, match)]
        sources.update((one, text) for one in found if one not in sources)
    return Candidates(tuple(sources), sources, tuple(missing))


def _pattern(source: str) -> str | None:
    """The part of a source that is a pattern; a name that exists is itself, whatever is in it."""
    if not glob.has_magic(source) or exists(source):
        return None
    patterns = [part for part in _paths(source) if glob.has_magic(part) and not exists(part)]
    if len(patterns) > 1:
        raise UsageError(f"{source!r} has two globs: expected one, the file's or the weights'")
    return patterns[0] if patterns else None


def _paths(source: str) -> Iterator[str]:
    """The files that a source names, as it spells them."""
    spelling = parse_spelling(source)
    end = len(source)
    if spelling.weights is not None:
        ats = (found.start() for found in re.finditer("@", source))
        end = next(at for at in ats if Path(source[at + 1 :]) == spelling.weights)
        yield source[end + 1 :]
    if spelling.file is not None:
        yield source[:end]
    elif spelling.module is not None and spelling.module.endswith(".py"):
        yield spelling.module


def _found(pattern: str, files_only: bool) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- as a shell, nothing hidden
    return [path for path in found if not files_only or Path(path).is_file()]


def _places(path: str) -> dict[str, str]:
    file = Path(path)
    return {"stem": file.stem, "name": file.name, "folder": file.parent.as_posix()}
