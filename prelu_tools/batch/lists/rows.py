"""A file that lists models: one per line in .txt, row in .csv, or table in .toml."""

from __future__ import annotations

import csv
import glob
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prelu_tools.backends.remote import is_url
from prelu_tools.backends.source_spec import exists, python_parts
from prelu_tools.batch.lists.keys import KEYS, NEEDED, OF_SOURCE, shown
from prelu_tools.batch.lists.tables import Row, read_tables, read_text
from prelu_tools.batch.lists.walking import WILD
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.requests.kinds import WrongValueError
from prelu_tools.core.requests.option import Option
from prelu_tools.core.results.batch import Command
from prelu_tools.core.suggestions import suggestion

_SUFFIXES = (".txt", ".csv", ".toml")
_SOURCES = ("source", "reference", "candidates", "output")
_CODE = "custom_objects"
_ESCAPED = re.compile(r"\[([*?[])\]")


def is_list(text: str) -> bool:
    """Whether a source is a file that lists models, by its suffix."""
    return not is_url(text) and Path(text).suffix.lower() in _SUFFIXES


def read_rows(path: str, command: Command) -> tuple[Row, ...]:
    """The rows of a list, in its order. Relative paths in it begin in its own folder.

    Raises:
        ListError: something in it makes no sense.
        PReLUToolsError: it cannot be read, or lists nothing.
    """
    suffix = Path(path).suffix.lower()
    rows = {".txt": _lines, ".csv": _cells}.get(suffix, read_tables)(path)
    found = tuple(_read(row, command) for row in rows)
    if not found:
        raise PReLUToolsError(f"{path} lists no models")
    return found


def _lines(path: str) -> Iterator[Row]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield Row(path, f"line {number}", number, {"source": line.strip()})


def _cells(path: str) -> Iterator[Row]:
    reader = csv.DictReader(read_text(path).splitlines())
    for cells in reader:
        number = reader.line_num
        row = Row(path, f"line {number}", number, {k: v for k, v in cells.items() if v})
        if None in cells:
            raise row.error("it has more cells than the header")
        yield replace(row, values={key: _value(key, text) for key, text in row.values.items()})


def _value(key: str, text: str) -> Any:
    """A cell as in TOML: text if its key takes text, otherwise the value that it spells."""
    option = KEYS["verify"].get(key)
    if option is None or (option.kind.type in ("text", "file", "folder") and not option.kind.many):
        return text
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except ValueError:
        return [text] if option.kind.many else text


def _read(row: Row, command: Command) -> Row:
    """A row whose values are valid for its keys."""
    known, values = KEYS[command], dict(row.values)
    if command == "verify" and "source" in values:
        raise row.error(
            "it names one model: verify needs a list with a reference and a candidate in each row "
            "(.csv or .toml)"
        )
    if command == "verify" and "candidate" in values and row.title.partition(" ")[0] != "check":
        values["candidates"] = _listed(values.pop("candidate"))
    fields: dict[str, Any] = {}
    of_source: dict[str, Any] = {}
    for key, value in values.items():
        option = known.get(key)
        if option is None:
            raise row.error(f"unknown key {key!r}; {suggestion(key, known)}")
        place = of_source if key in OF_SOURCE else fields
        place[option.field] = _of_key(row, option, value)
    for key in NEEDED[command]:
        if key not in values:
            raise row.error(f"missing key {key!r}, which every {_noun(row)} needs")
    return replace(row, fields=fields, of_source=of_source)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _noun(row: Row) -> str:
    return row.title.partition(" ")[0]


def _of_key(row: Row, option: Option, value: Any) -> Any:
    try:
        read = option.kind.read(value)
    except WrongValueError as error:
        raise row.error(f"{option.key} is {shown(value)}; expected {error}") from error
    folder = Path(row.path).parent
    if folder == Path():
        return read
    if option.key in _SOURCES:
        return _each(read, folder)
    if option.key == _CODE:
        return tuple(_seen_from(folder, text) if ".py" in text else text for text in read)
    if option.key == "layouts":
        return dict(_moved(read, folder))
    return folder / read if isinstance(read, Path) else read


def _each(read: Any, folder: Path) -> Any:
    if isinstance(read, tuple):
        return tuple(_seen_from(folder, text) for text in read)
    return _seen_from(folder, read)


def _moved(layouts: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    for name, layout in layouts.items():
        is_role = name in ("reference", "candidate")
        yield (name if is_role else _seen_from(folder, name)), layout


def _seen_from(folder: Path, text: str) -> str:
    """A source that is spelled from a folder, spelled from here."""
    if is_url(text):
        return text
    parts = python_parts(text)
    if parts is None:
        return _joined(folder, text)
    head, weights = parts
    module, colon, call = head.partition(":")
    head = f"{_joined(folder, module)}{colon}{call}" if module.endswith(".py") else head
    if not weights:
        return head
    return f"{head}@{weights if is_url(weights) else _joined(folder, weights)}"


def as_written(text: str) -> str:
    """A pattern without brackets around escaped characters."""
    return _ESCAPED.sub(r"\1", text)


def _joined(folder: Path, path: str) -> str:
    """A path or pattern below a folder, whose own name is not a pattern."""
    whole = str(folder / path)
    if exists(whole) or not WILD.search(path) or Path(path).is_absolute():
        return whole
    return f"{glob.escape(str(folder))}/{path}"
