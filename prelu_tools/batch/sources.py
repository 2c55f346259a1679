"""Which models a user means: files, folders, patterns with wildcards, lists."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from prelu_tools.backends.registry import READERS, ROWS
from prelu_tools.backends.remote import files_in, is_url, matching
from prelu_tools.backends.source_spec import as_file, exists, python_parts
from prelu_tools.batch.manifest import is_manifest, read_manifest
from prelu_tools.batch.walking import WILD, models_below, unlistable
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.batch import Command

_OF_ANYTHING = (".tar",)  # a folder may have others; named itself, such a file is read
_RUNNABLE = (*(s for row in ROWS for s in row.suffixes if s.startswith(".")), ".pt2")
_READABLE = tuple(
    suffix
    for row in (*READERS, *ROWS)
    for suffix in row.suffixes
    if suffix.startswith(".") and suffix not in _OF_ANYTHING
)
_WEIGHTS_ALONE = ".weights.h5"


@dataclass(frozen=True)
class Found:
    """A model that is meant."""

    text: str
    """How it is spelled; a `FileName` where a folder or a pattern gave it."""
    place: str
    """What to call what is made of it: its path below the folder that was named, no suffix."""
    name: str | None = None
    """What a list calls it."""
    output: str | None = None
    """The file to write, where a list says so."""


def is_many(text: str) -> bool:
    """Whether a source stands for any number of models: a list, a folder, a pattern."""
    return is_manifest(text) or _is_pattern(text) or is_folder(text)


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
    found: dict[str, Found] = {}
    for text in texts:
        for one in _meant(text, command):
            found.setdefault(one.text, one)
    return list(found.values())


def place_of(text: str) -> str:
    """What to call what is made of a model that was named by itself."""
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
    if is_manifest(text):
        for listed in read_manifest(text, command):
            place = listed.name or place_of(listed.source)
            yield Found(listed.source, place, listed.name, listed.output)
    elif is_folder(text):
        yield from _in_folder(text, command)
    elif _is_pattern(text):
        yield from _fitting(text)
    else:
        yield Found(text, place_of(text))


def _is_pattern(text: str) -> bool:
    if not text or exists(text):
        return False
    parts = python_parts(text)
    if parts is not None:
        return bool(WILD.search(parts[1]))
    return bool(re.search(r"\*", text) if is_url(text) else WILD.search(text))


def _fitting(pattern: str) -> Iterator[Found]:
    """What fits a pattern; of a Python source, the weights that do."""
    head, wild = "", pattern
    parts = python_parts(pattern)
    if parts is not None:
        head, wild = f"{parts[0]}@", parts[1]
    paths = matching(wild) if is_url(wild) else sorted(glob.glob(wild, recursive=True))  # noqa: PTH207
    if not is_url(wild):
        paths = sorted({*paths, *unlistable(wild)})
    if not paths:
        raise PReLUToolsError(f"{pattern} matches no file")
    fixed = wild[: WILD.search(wild).start()].rpartition("/")[0]  # type: ignore[union-attr]
    for path in paths:
        yield Found(f"{head}{path}" if head else as_file(path), _below(path, fixed))


def _in_folder(text: str, command: Command) -> Iterator[Found]:
    kinds = _READABLE if command == "inspect" else _RUNNABLE
    if is_url(text):
        paths = [path for path in files_in(text) or () if _is_model(path, kinds)]
    else:
        paths = models_below(text, partial(_is_model, kinds=kinds))
    if not paths:
        raise PReLUToolsError(
            f"{text} contains no models: expected files that end in "
            f"{', '.join(sorted(set(kinds)))}, or SavedModels"
        )
    for path in paths:
        yield Found(as_file(path), _below(path, text.rstrip("/")))


def _is_model(path: str, kinds: tuple[str, ...]) -> bool:
    name = PurePosixPath(path).name.lower()
    if name.startswith(".") or (kinds is _RUNNABLE and name.endswith(_WEIGHTS_ALONE)):
        return False
    return name.endswith(kinds)


def _below(path: str, folder: str) -> str:
    """The path below a folder, without its suffix."""
    inner = path[len(folder) :].lstrip("/") if path.startswith(folder) else path
    parent = str(PurePosixPath(inner).parent)
    return stem(path) if parent == "." else f"{parent}/{stem(path)}"


def local_size(texts: Sequence[str]) -> int:
    """Bytes of the files of these sources, as far as they are here: what memory goes by."""
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
