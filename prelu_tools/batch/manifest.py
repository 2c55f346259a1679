"""A file that lists models: a line each in .txt, a row in .csv, a table `[[models]]` in .toml."""

from __future__ import annotations

import csv
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.backends.remote import is_url
from prelu_tools.backends.source_spec import python_parts
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.batch import Command

SUFFIXES = (".txt", ".csv", ".toml")
_KEYS: Mapping[Command, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "inspect": (("source",), ("name",)),
    "verify": (("reference", "candidate"), ("name",)),
    "export": (("source",), ("name", "output")),
}


@dataclass(frozen=True)
class Listed:
    """A model of the list; its paths begin where the command was called."""

    source: str
    """The model; of a verification its reference."""
    candidates: tuple[str, ...] = ()
    """What is to be compared with it: for `verify` at least one."""
    name: str | None = None
    """As the list has it."""
    output: str | None = None
    """The file to write, for `export`, where the list has one."""


def is_manifest(text: str) -> bool:
    """Whether a source is a list of models, by its suffix."""
    return not is_url(text) and Path(text).suffix.lower() in SUFFIXES


def read_manifest(text: str, command: Command) -> list[Listed]:
    """The models of a list, in its order. Relative paths in it begin in its own folder.

    Raises:
        UsageError: something in it makes no sense.
        PReLUToolsError: it cannot be read, or lists nothing.
    """
    path = Path(text)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a list of models: it is not UTF-8 text") from error
    rows = {".txt": _lines, ".csv": _cells, ".toml": _tables}[path.suffix.lower()]
    found = [_listed(where, row, path, command) for where, row in rows(path, content)]
    if not found:
        raise PReLUToolsError(f"{path} lists no models")
    return found


def _lines(path: Path, content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield f"{path}, line {number}", {"source": line.strip()}


def _cells(path: Path, content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(content.splitlines())
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row:
            raise UsageError(f"{where} has more cells than the first line has names")
        yield where, {key: value for key, value in row.items() if value}


def _tables(path: Path, content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        document = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    models = document.pop("models", [])
    if document or not isinstance(models, list) or not all(isinstance(m, dict) for m in models):
        raise UsageError(
            f"{path} is not a list of models: expected [[models]] tables and nothing else"
        )
    for number, row in enumerate(models, 1):
        yield f"{path}, model {number}", row


def _listed(where: str, row: Mapping[str, Any], path: Path, command: Command) -> Listed:
    needed, more = _KEYS[command]
    known = (*needed, *more, *(["candidates"] if command == "verify" else []))
    for key, value in row.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"{where}: there is no {key!r} for {command}; {hint}")
        texts = value if key == "candidates" and isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise UsageError(f"{where}: {key} is {value!r}; expected a text")
    candidates = row.get("candidates", row.get("candidate", ()))
    if isinstance(candidates, str):
        candidates = (candidates,)
    for key in needed:
        if key not in row and not (key == "candidate" and candidates):
            raise UsageError(f"{where}: there is no {key!r}, which every model needs for {command}")
    folder = path.parent
    return Listed(
        source=_from(folder, row[needed[0]]),
        candidates=tuple(_from(folder, text) for text in candidates),
        name=row.get("name"),
        output=_from(folder, row["output"]) if "output" in row else None,
    )


def _from(folder: Path, text: str) -> str:
    """A source that is spelled from a folder, spelled from here."""
    if is_url(text) or folder == Path():
        return text
    parts = python_parts(text)
    if parts is None:
        return str(folder / text)
    head, weights = parts
    module, colon, call = head.partition(":")
    head = f"{folder / module}{colon}{call}" if module.endswith(".py") else head
    if not weights:
        return head
    return f"{head}@{weights if is_url(weights) else folder / weights}"
