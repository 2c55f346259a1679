"""Which candidates `verify` compares with which reference, if there are several.

A placeholder in a candidate follows the reference: `{stem}` (`a` of `models/a.keras`), `{name}`
(`a.keras`) and `{folder}` (`models`) of each file that a pattern or a folder has. `{stem}` in the
reference stands for the same text in every source.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from prelu_tools.backends.remote import is_url, matching
from prelu_tools.backends.source_spec import as_file, exists, path_spans, python_parts
from prelu_tools.batch.lists.models import (
    Found,
    expand,
    is_folder,
    is_many,
    is_pattern,
    references_in,
)
from prelu_tools.batch.lists.rows import as_written
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.suggestions import suggestion

STEM = "{stem}"
_KNOWN = ("stem", "name", "folder")
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_MARK = "__place__"  # part of a Python name


@dataclass(frozen=True)
class Pair:
    """A reference with its candidates."""

    name: str
    """Its default name."""
    reference: str
    """The source that is right."""
    candidates: tuple[str, ...]
    """The sources to compare with it; no source twice."""
    places: Mapping[str, str] | None = None
    """What placeholders stand for; None if the reference is written out."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Each source, and what it was found by, as it is written."""
    problem: str | None = None
    """What is missing, in words, so that it cannot pass; None for nothing."""
    can_run: bool = True
    """Whether there is a reference and a candidate."""


def are_many(sources: Sequence[str]) -> bool:
    """Whether sources of `verify` stand for more than one check."""
    return any((STEM in text and not exists(text)) or is_many(text) for text in sources)


def pairs_of(reference: str, candidates: Sequence[str]) -> list[Pair]:
    """The checks that a reference and its candidates mean.

    In two folders, files of the same name form a pair. A reference that is a pattern or a folder,
    or has `{stem}` in it, gives a pair for each match. A candidate that is a pattern, a folder or a
    list stands for all that it finds, except the reference.

    Raises:
        UsageError: it is not clear which belong together.
        PReLUToolsError: there is no reference.
    """
    if is_folder(reference) and len(candidates) == 1 and is_folder(candidates[0]):
        return list(_by_place(reference, candidates[0]))
    if STEM in reference and not exists(reference):
        made = _by_stem(reference, candidates)
    elif is_many(reference):
        _refuse_without_placeholders(reference, candidates)
        made = [
            Pair(one.text, one.text, (), _places(one.text), {one.text: reference})
            for one in expand([reference], "verify")
        ]
    else:
        made = [Pair(reference, reference, (), None, {reference: reference})]
    return [_with_candidates(pair, candidates) for pair in made]


def each_candidate(pair: Pair, candidates: Sequence[str]) -> list[Pair]:
    """On the command line, one reference with each of many candidates is a separate check.

    Raises:
        PReLUToolsError: a candidate stands for no model.
    """
    if pair.places is not None or not any(map(is_many, candidates)):
        return [pair]
    if pair.problem is not None:
        raise PReLUToolsError(pair.problem)
    return [
        replace(pair, name=f"{pair.reference} {one}", candidates=(one,)) for one in pair.candidates
    ]


def _refuse_without_placeholders(reference: str, candidates: Sequence[str]) -> None:
    if not any(map(placeholders, candidates)):
        raise UsageError(
            f"cannot tell which candidate belongs to which model of {reference}: write {STEM} "
            f"for the part that their names share, as in 'keras/{STEM}.keras' "
            f"'onnx/{STEM}.onnx', or give two folders"
        )


def _by_place(left: str, right: str) -> Iterator[Pair]:
    """A model in only one of two folders is a pair too: one that cannot be checked.

    Records in the first one are references.
    """
    references, candidates = _placed(references_in(left)), _placed(expand([right], "verify"))
    for place in dict.fromkeys((*references, *candidates)):
        # A missing file keeps its expected name, so that the error can state it.
        reference = references.get(place, as_file(f"{left.rstrip('/')}/{place}"))
        candidate = candidates.get(place, as_file(f"{right.rstrip('/')}/{place}"))
        written = {reference: left, candidate: right}
        yield Pair(place, reference, (candidate,), _places(reference), written)


def _placed(found: Sequence[Found]) -> dict[str, str]:
    placed: dict[str, str] = {}
    for one in found:
        if one.place in placed:
            raise UsageError(
                f"{placed[one.place]} and {one.text} have the same name, so the pair is "
                "ambiguous: use a list of pairs"
            )
        placed[one.place] = one.text
    return placed


def _by_stem(reference: str, candidates: Sequence[str]) -> list[Pair]:
    """A pair for every text that makes some source the name of a file that is there."""
    patterns = [path for text in (reference, *candidates) for path in _stem_paths(text)]
    if not patterns:
        raise UsageError(f"{STEM} has to be part of the path of a model or of weights")
    _refuse_without_placeholders(reference, candidates)
    stems = {found for pattern in patterns for found in _stems(pattern)}
    if not stems:
        raise PReLUToolsError(f"{' and '.join(patterns)} match no files")
    sources = {text: _source(reference, {"stem": text}) for text in sorted(stems)}
    return [
        Pair(text, source, (), {**_places(source), "stem": text}, {source: reference})
        for text, source in sources.items()
    ]


def _stem_paths(text: str) -> Iterator[str]:
    """The files of a source whose names contain `{stem}` and no other pattern."""
    marked = text.replace(STEM, _MARK)
    for start, end in path_spans(marked):
        path = marked[start:end].replace(_MARK, STEM)
        if STEM in path and not is_pattern(path.replace(STEM, _MARK)):
            yield path


def _stems(pattern: str) -> Iterator[str]:
    """The text that `{stem}` stands for in file names; it contains no folder separator."""
    if is_url(pattern):
        found = matching(pattern.replace(STEM, "*"))
    else:
        found = glob.glob("*".join(map(glob.escape, pattern.split(STEM))))  # noqa: PTH207
    first, *rest = (re.escape(part) for part in pattern.split(STEM))
    shape = first + "(?P<stem>[^/]+)" + "(?P=stem)".join(rest)
    for path in found:
        match = re.fullmatch(shape, path)
        if match:
            yield match["stem"]


def _places(source: str) -> dict[str, str]:
    """What the placeholders stand for, by the file of a source: its weights', if it has any."""
    spans = path_spans(source)
    start, end = spans[-1] if spans else (0, len(source))
    file = PurePosixPath(source[start:end])
    return {"stem": file.stem, "name": file.name, "folder": file.parent.as_posix()}


def _with_candidates(pair: Pair, texts: Sequence[str]) -> Pair:
    """A pair with the candidates that belong to its reference."""
    written: dict[str, str] = {}
    missing = []
    for text in texts:
        # What a match is called may look like a pattern; only what is written is one.
        found = [_source(text, pair.places)]
        if is_many(text if text == found[0] else _PLACE.sub("x", text)):
            found, problem = _looked_up(str(_source(text, pair.places, escape=True)), pair)
            missing += [problem] if problem else []
        for one in found:
            written.setdefault(one, text)
    return replace(
        pair,
        candidates=tuple(written) or tuple(texts),
        written={**pair.written, **written},
        problem="; ".join(missing) or None,
        can_run=bool(written),
    )


def _looked_up(text: str, pair: Pair) -> tuple[list[str], str | None]:
    """All that a candidate stands for but the reference; or why that is nothing."""
    try:
        found = [one.text for one in expand([text], "verify") if one.text != pair.reference]
    except UsageError:
        raise
    except PReLUToolsError as error:
        return [], as_written(str(error))
    return found, None if found else f"{as_written(text)} matches no file but the reference"


def placeholders(text: str) -> tuple[str, ...]:
    """The names in braces in it."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def filled(text: str, places: Mapping[str, str] | None, escape: bool = False) -> str:
    """A text with its placeholders filled in.

    Args:
        text: a candidate, or another text that follows the reference.
        places: what the placeholders stand for; None if the reference is written out.
        escape: whether to escape filled-in text in a pattern.

    Raises:
        UsageError: it has one that is not known, or the reference is written out.
    """
    if places is None and exists(text):
        return text

    def value(found: re.Match[str]) -> str:
        if places is None:
            raise UsageError(
                f"{text!r} has {found[0]}, which is filled in from the reference, but the "
                f"reference is neither a pattern nor contains {STEM}"
            )
        if found[1] not in places:
            raise UsageError(
                f"{text!r}: unknown placeholder {found[0]}; {suggestion(found[1], _KNOWN)}"
            )
        return glob.escape(places[found[1]]) if escape else places[found[1]]

    return _PLACE.sub(value, text)


def _source(text: str, places: Mapping[str, str] | None, escape: bool = False) -> str:
    """A source with its placeholders filled in: a file is one, whatever its name is.

    Raises:
        UsageError: as `filled`; or the text to fill in would be Python code and is not a name.
    """
    found = filled(text, places, escape)
    if not placeholders(text) or places is None:
        return found
    parts = python_parts(_PLACE.sub(lambda one: f"{_MARK}{one[1]}", text))
    if parts is None:
        return as_file(found)
    for value in _used(parts[0], places):
        if not value.isidentifier():
            raise UsageError(
                f"{found!r} is not a source: {value!r} is not a name in Python, which {text!r} "
                "needs"
            )
    return found


def _used(head: str, places: Mapping[str, str]) -> Iterable[str]:
    return (value for name, value in places.items() if f"{_MARK}{name}" in head)
