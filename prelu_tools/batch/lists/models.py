"""Which models a user means: files, folders, patterns with wildcards, lists.

The only place that knows what a pattern is.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from prelu_tools.backends.registry import READERS, ROWS, RUNTIMES
from prelu_tools.backends.remote import files_in, is_url, matching
from prelu_tools.backends.source_spec import as_file, exists, is_literal, path_spans, python_parts
from prelu_tools.batch.lists.rows import as_written, is_list, read_rows
from prelu_tools.batch.lists.tables import Row
from prelu_tools.batch.lists.walking import WILD, models_below, unlistable
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.batch import Command

_OF_ANYTHING = (
    ".tar",
    ".npz",
    ".xml",
    ".param",
)  # a folder may contain others; a file that is named directly is read
_RUNNABLE = (
    *(s for row in ROWS for s in row.suffixes if s.startswith(".") and s not in _OF_ANYTHING),
    ".pt2",
)
_CONVERTIBLE = tuple(
    suffix for suffix in _RUNNABLE if suffix not in {s for row in RUNTIMES for s in row.suffixes}
)
_READABLE = tuple(
    suffix
    for row in (*READERS, *ROWS)
    for suffix in row.suffixes
    if suffix.startswith(".") and suffix not in _OF_ANYTHING
)
_WEIGHTS_ALONE = ".weights.h5"
_RECORD = ".npz"


@dataclass(frozen=True)
class Found:
    """A model that is meant."""

    text: str
    """How it is spelled; a `FileName` where a folder or a pattern gave it."""
    place: str
    """A name for its output: its path below the named folder, without suffix."""
    row: Row | None = None
    """The row of the list that has it; None if it was given on the command line."""
    is_alone: bool = True
    """Whether the row means this model and no other."""
    problem: str | None = None
    """Why the row means no model, in words; None if it does."""

    @property
    def given(self) -> tuple[str, ...]:
        """What the row says of it: the same model may be named twice, or written to two places."""
        fields = {} if self.row is None else self.row.fields
        return tuple(f"{key}={fields[key]}" for key in ("name", "output") if key in fields)


def is_many(text: str) -> bool:
    """Whether a source stands for any number of models: a list, a folder, a pattern."""
    return is_list(text) or is_pattern(text) or is_folder(text)


def is_pattern(text: str) -> bool:
    """Whether it is a pattern to search for; an existing file is itself, whatever its name."""
    return _pattern(text) is not None


def is_folder(text: str) -> bool:
    """Whether it is a folder of models (a SavedModel is one model); of a URL, if it ends in /."""
    if is_url(text):
        return text.endswith("/")
    return os.path.isdir(text) and not os.path.isfile(os.path.join(text, "saved_model.pb"))  # noqa: PTH112, PTH113, PTH118


def expand(texts: Sequence[str], command: Command) -> list[Found]:
    """All models that are meant, each once, in the order given and by name within a pattern.

    Raises:
        UsageError: a list makes no sense.
        PReLUToolsError: a pattern, a folder or a list has no model in it, or cannot be read.
    """
    found: dict[tuple[str, ...], Found] = {}
    seen: set[str] = set()
    for text in texts:
        for one in _of_list(text, command) if is_list(text) else _meant(text, command):
            if one.given or one.text not in seen:
                found.setdefault((one.text, *one.given), one)
            seen.add(one.text)
    return list(found.values())


def _of_list(text: str, command: Command) -> Iterator[Found]:
    """The models of each row; a row that means none is one with a problem."""
    for row in read_rows(text, "inspect" if command == "verify" else command):
        source = row.fields["source"]
        try:
            meant = list(_meant(source, command))
        except UsageError as error:
            raise row.error(str(error)) from error
        except PReLUToolsError as error:
            source, why = as_written(source), as_written(str(error))
            meant = [Found(source, place_of(source), problem=why)]
        alone = len(meant) == 1
        name = row.fields.get("name") if alone else None
        yield from (replace(one, place=name or one.place, row=row, is_alone=alone) for one in meant)


def place_of(text: str) -> str:
    """A name for the output of a model that was named directly."""
    parts = python_parts(text)
    if parts is not None:
        head, weights = parts
        return stem(weights) if weights else head.partition(":")[2].partition("(")[0]
    return stem(text)


def stem(path: str) -> str:
    """The name of a file without its folders and suffix; of a URL too."""
    name = PurePosixPath((path.split("?")[0] if is_url(path) else path).rstrip("/")).name
    if name.lower().endswith(_WEIGHTS_ALONE):
        return name[: -len(_WEIGHTS_ALONE)]
    return PurePosixPath(name).stem


def _meant(text: str, command: Command) -> Iterator[Found]:
    if is_folder(text):
        yield from _in_folder(text, command)
    elif is_pattern(text):
        yield from _matching(text)
    else:
        yield Found(text, place_of(text))


def _pattern(text: str) -> tuple[int, int] | None:
    """The position of the pattern in a source: in a file, a Python file or weights."""
    if not text or is_literal(text):
        return None
    found = [span for span in path_spans(text) if _is_wild(text[slice(*span)])]
    if len(found) > 1:
        raise UsageError(
            f"{text!r} has two patterns: expected one, for the file or for the weights"
        )
    return found[0] if found else None


def _is_wild(path: str) -> bool:
    return "*" in path if is_url(path) else bool(WILD.search(path)) and not exists(path)


def _matching(text: str) -> Iterator[Found]:
    """What matches a pattern, in order of name."""
    start, end = _pattern(text) or (0, len(text))
    before, wild, behind = text[:start], text[start:end], text[end:]
    paths = matching(wild) if is_url(wild) else sorted(glob.glob(wild, recursive=True))  # noqa: PTH207
    if behind:  # Python, or a model with weights: a folder is neither
        paths = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
    elif not is_url(wild):
        paths = sorted({*paths, *unlistable(wild)})
    if not paths:
        raise PReLUToolsError(f"{text} matches no file")
    first = WILD.search(wild)
    fixed = wild[: first.start() if first else 0].rpartition("/")[0]
    for path in paths:
        whole = f"{before}{path}{behind}"
        yield Found(as_file(path) if whole == path else whole, _below(path, fixed))


def references_in(folder: str) -> list[Found]:
    """The models of a folder that others are compared with: its records are models, too.

    Raises:
        PReLUToolsError: it has none, or cannot be read.
    """
    return list(_in_folder(folder, "verify", with_records=not is_url(folder)))


def _in_folder(text: str, command: Command, with_records: bool = False) -> Iterator[Found]:
    kinds = {"inspect": _READABLE, "verify": _RUNNABLE}.get(command, _CONVERTIBLE)
    if is_url(text):
        paths = [path for path in files_in(text) or () if _is_model(path, kinds)]
    else:
        named = (*kinds, _RECORD) if with_records else kinds
        paths = models_below(text, partial(_is_model, kinds=named))
        paths = [path for path in paths if not path.lower().endswith(_RECORD) or _is_record(path)]
    if not paths:
        begin = f"{text} contains no models"
        if command == "inspect" and (log := next(Path(text).glob("*.jsonl"), None)) is not None:
            raise PReLUToolsError(f"{begin}: for the slopes of a training run, use its log, {log}")
        raise PReLUToolsError(
            f"{begin}: expected files that end in {', '.join(sorted(set(kinds)))}, or SavedModels"
        )
    for path in paths:
        yield Found(as_file(path), _below(path, text.rstrip("/")))


def _is_record(path: str) -> bool:
    """Whether a file is a record: other `.npz` files have inputs, or weights."""
    from prelu_tools.backends.recorded import is_record

    return is_record(Path(path))


def _is_model(path: str, kinds: tuple[str, ...]) -> bool:
    name = PurePosixPath(path).name.lower()
    if name.startswith(".") or (kinds is not _READABLE and name.endswith(_WEIGHTS_ALONE)):
        return False
    return name.endswith(kinds)


def _below(path: str, folder: str) -> str:
    """The path below a folder, without its suffix."""
    inner = path[len(folder) :].lstrip("/") if path.startswith(folder) else path
    parent = str(PurePosixPath(inner).parent)
    return stem(path) if parent == "." else f"{parent}/{stem(path)}"


def local_size(texts: Sequence[str]) -> int:
    """Bytes of the local files of these sources, which memory limits go by."""
    total = 0
    for text in texts:
        parts = python_parts(text)
        path = Path(text if parts is None else parts[1])
        if parts == (text, "") or is_url(str(text)):
            continue
        for file in (path, path.with_name(f"{path.name}.data")):
            try:
                total += file.stat().st_size
            except (OSError, ValueError):
                continue
    return total
