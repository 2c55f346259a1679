"""What `verify` is to compare with what, where there is more than one reference or candidate."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prelu_tools.backends.remote import is_url, matching
from prelu_tools.backends.source_spec import as_file, python_parts
from prelu_tools.batch.manifest import is_manifest, read_manifest
from prelu_tools.batch.sources import Found, expand, is_folder, is_many
from prelu_tools.core.errors import PReLUToolsError, UsageError

STEM = "{stem}"
_MARK = "__stem__"  # the same as part of a name in Python


@dataclass(frozen=True)
class Pair:
    """A reference with what is to be compared with it."""

    name: str
    """What to call the check."""
    reference: str
    """The source that is right."""
    candidates: tuple[str, ...]
    """At least one."""


def are_many(sources: Sequence[str]) -> bool:
    """Whether sources of `verify` stand for more than one check."""
    return any(STEM in text or is_many(text) for text in sources)


def pair(sources: Sequence[str]) -> list[Pair]:
    """The checks that are meant.

    A list has them; of two folders, files of the same name make a pair; `{stem}` stands for the
    same text in every source, or in candidates for the name of each file that a pattern fits; and
    one reference is compared with each of many candidates.

    Raises:
        UsageError: it cannot be told which belong together.
        PReLUToolsError: there is none.
    """
    reference, *candidates = sources
    if is_manifest(reference):
        if candidates:
            raise UsageError(f"{reference} already lists the pairs: give no CANDIDATE after it")
        return [
            Pair(listed.name or listed.source, listed.source, listed.candidates)
            for listed in read_manifest(reference, "verify")
        ]
    if not candidates:
        raise UsageError(
            f"no candidate to compare {reference} with: give a CANDIDATE after it, or a list of "
            "pairs (.csv with the columns reference and candidate)"
        )
    if is_many(reference) and STEM not in reference and all(STEM in text for text in candidates):
        return list(_by_match(reference, candidates))
    if any(STEM in text for text in sources):
        return list(_by_stem(sources))
    if is_folder(reference) and len(candidates) == 1 and is_folder(candidates[0]):
        return list(_by_place(reference, candidates[0]))
    if is_many(reference):
        raise UsageError(
            f"it cannot be told which candidate belongs to which model of {reference}: write "
            f"{STEM} for what their names have in common, as in 'keras/{STEM}.keras' "
            f"'onnx/{STEM}.onnx', or give two folders"
        )
    if not are_many(candidates):
        return [Pair(reference, reference, tuple(candidates))]
    found = expand(candidates, "verify")
    return [Pair(f"{reference} {one.text}", reference, (one.text,)) for one in found]


def _by_match(reference: str, candidates: Sequence[str]) -> Iterator[Pair]:
    """As in a list of checks: a pair for each reference that fits, whose name candidates have."""
    for one in expand([reference], "verify"):
        name = one.place.rpartition("/")[2]
        yield Pair(one.place, one.text, tuple(_named(text, name) for text in candidates))


def _by_place(left: str, right: str) -> Iterator[Pair]:
    """What only one of two folders has is a pair too: one that cannot be checked."""
    references, candidates = (_placed(expand([folder], "verify")) for folder in (left, right))
    for place in dict.fromkeys((*references, *candidates)):
        # A file that is not there is named as it would be: the error says which is missing.
        reference = references.get(place, as_file(f"{left.rstrip('/')}/{place}"))
        candidate = candidates.get(place, as_file(f"{right.rstrip('/')}/{place}"))
        yield Pair(place, reference, (candidate,))


def _placed(found: Sequence[Found]) -> dict[str, str]:
    placed: dict[str, str] = {}
    for one in found:
        if one.place in placed:
            raise UsageError(
                f"{placed[one.place]} and {one.text} have the same name, so it cannot be told "
                "which of them is meant: give a list of pairs"
            )
        placed[one.place] = one.text
    return placed


def _by_stem(sources: Sequence[str]) -> Iterator[Pair]:
    """A pair for every text that makes some source the name of a file that is there."""
    patterns = [pattern for text in sources for pattern in _files_of(text)]
    if not patterns:
        raise UsageError(f"{STEM} has to stand in the path of a model or of weights")
    stems = {found for pattern in patterns for found in _stems(pattern)}
    if not stems:
        raise PReLUToolsError(f"{' and '.join(patterns)} match no file")
    for text in sorted(stems):
        reference, *candidates = (_named(source, text) for source in sources)
        yield Pair(text, reference, tuple(candidates))


def _named(source: str, stem: str) -> str:
    """A source in which `{stem}` stands for part of the name of a file.

    Raises:
        UsageError: it would be part of Python code, and is not a name there.
    """
    parts = python_parts(source.replace(STEM, _MARK))
    if parts is None:
        return as_file(source.replace(STEM, stem)) if STEM in source else source
    if _MARK in parts[0] and not stem.isidentifier():
        raise UsageError(
            f"{stem!r} cannot stand for {STEM} in {source}: it is not a name in Python"
        )
    return source.replace(STEM, stem)


def _files_of(text: str) -> Iterator[str]:
    parts = python_parts(text.replace(STEM, _MARK))
    path = text if parts is None else parts[1].replace(_MARK, STEM)
    if STEM in path:
        yield path


def _stems(pattern: str) -> Iterator[str]:
    """What stands in the place of `{stem}` in the names of files: within one folder's name."""
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
