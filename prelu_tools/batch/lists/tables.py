"""The rows of a list and the tables of a TOML file, with their line numbers."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prelu_tools.batch.lists.keys import shown
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.suggestions import suggestion

OWN_FILE, PROJECT_FILE = "prelu-tools.toml", "pyproject.toml"
SECTION = "prelu-tools"
CHECKS, MODELS = "checks", "models"
TABLES = {OWN_FILE: "[[checks]]", PROJECT_FILE: f"[[tool.{SECTION}.checks]]"}
_EXAMPLE = 'with reference = "net.keras" and candidates = ["net.onnx"]'
_OF_PROJECT = r"""["']?tool["']?\s*\.\s*["']?prelu-tools["']?\s*\.\s*"""


class ListError(UsageError):
    """Something in a list makes no sense.

    Args:
        message: what was found, and what was expected.
        path: the file.
        line: where in it, from 1; None if it is the file as a whole.
    """

    def __init__(self, message: str, path: str, line: int | None = None) -> None:
        """Keep the place next to the sentence."""
        super().__init__(message)
        self.path, self.line = path, line


@dataclass(frozen=True)
class Row:
    """A line, a row or a table of a list."""

    path: str
    """The file."""
    title: str
    """Which of its rows, in words: `line 3`, `check 2`."""
    line: int
    """The line that it starts on, from 1."""
    values: Mapping[str, Any]
    """What it says, by key, as the file has it."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The same by the fields of the request, read; paths begin where the command was called."""
    of_source: Mapping[str, Any] = field(default_factory=dict)
    """The same for the fields of `SourceOptions`."""

    def error(self, message: str) -> ListError:
        """The error for a row that makes no sense, naming its number and name."""
        known = (self.values.get(key) for key in ("name", "reference", "source"))
        name = next((text for text in known if text is not None), None)
        named = f" ({name!r})" if isinstance(name, str) else ""
        return ListError(f"{self.path}, {self.title}{named}: {message}", self.path, self.line)


def find_file() -> tuple[str, tuple[str, ...]]:
    """The file of the current folder that lists its checks, and what the user should know of it.

    Raises:
        UsageError: there is none.
    """
    if Path(OWN_FILE).exists():
        both = f"the checks are those of {OWN_FILE}; [tool.{SECTION}] of {PROJECT_FILE} is not read"
        return OWN_FILE, ((both,) if project_has_section() else ())
    if Path(PROJECT_FILE).exists():
        return PROJECT_FILE, ()
    raise UsageError(
        f"there is nothing to check: give REFERENCE CANDIDATE..., or list checks under "
        f"{TABLES[PROJECT_FILE]} in {PROJECT_FILE} (or {TABLES[OWN_FILE]} in {OWN_FILE}) in the "
        f"current folder, each {_EXAMPLE}; prelu-tools init writes them for the models it finds"
    )


def read_tables(path: str) -> tuple[Row, ...]:
    """The tables of a TOML file, at least one: `[[checks]]`, or `[[models]]` in its own file.

    Raises:
        ListError: the file has no tables, or is not such a list.
        PReLUToolsError: it cannot be read.
    """
    text = read_text(path)
    section = _section(path, _parsed(path, text))
    key = MODELS if MODELS in section and MODELS in _keys(path) else CHECKS
    tables = _tables(path, key, section, f"# {_heads(path)}" in text)
    return tuple(
        Row(path, f"{key.removesuffix('s')} {number}", line, values)
        for number, (line, values) in enumerate(
            zip(_lines(path, key, text, len(tables)), tables, strict=True), 1
        )
    )


def project_has_section() -> bool:
    """Whether pyproject.toml lists checks; errors in it are ignored."""
    try:
        return bool(_section(PROJECT_FILE, _parsed(PROJECT_FILE, read_text(PROJECT_FILE))))
    except PReLUToolsError:
        return False


def read_text(path: str) -> str:
    """The text of a list.

    Raises:
        ListError: it is not text.
        PReLUToolsError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ListError(f"{path} is not UTF-8 text: {error}", path) from error


def _parsed(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else None
        raise ListError(f"{path} is not a TOML file: {error}", path, line) from error


def _keys(path: str) -> tuple[str, ...]:
    """What the tables of a file may be called."""
    return (CHECKS,) if Path(path).name in TABLES else (CHECKS, MODELS)


def _heads(path: str) -> str:
    """How the tables of a file are written."""
    return TABLES.get(Path(path).name, f"[[{MODELS}]] or [[{CHECKS}]]")


def _section(path: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says to prelu-tools."""
    if Path(path).name != PROJECT_FILE:
        return dict(document)
    tool = document.get("tool", {})
    section = tool.get(SECTION, {}) if isinstance(tool, dict) else {}
    if not isinstance(section, dict):
        raise ListError(
            f"{path}: tool.{SECTION} is {shown(section)}; expected a table that holds "
            f"{_heads(path)}",
            path,
        )
    return section


def _tables(
    path: str, key: str, section: Mapping[str, Any], begun: bool
) -> Sequence[dict[str, Any]]:
    for other in section:
        if other != key and other in _keys(path):
            raise ListError(f"{path} has {key} and {other}: expected {_heads(path)}", path)
        if other != key:
            raise ListError(
                f"{path}: unknown key {other!r} beside the {key}, each written as "
                f"{_heads(path)}; {suggestion(other, _keys(path))}",
                path,
            )
    tables = section.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ListError(f"{path}: {key} is {shown(tables)}; expected tables {_heads(path)}", path)
    if not tables:
        first = f"complete the {key} in its comments, " if begun else ""
        raise ListError(
            f"{path} lists no {key}: {first}write {_heads(path)} {_EXAMPLE}, or give "
            "REFERENCE CANDIDATE..., or let prelu-tools init write it",
            path,
        )
    return tables


def _lines(path: str, key: str, text: str, n_tables: int) -> list[int]:
    """The line of each table: those that look like the head of one, if there are as many.

    Else (one may stand within a text of several lines, or be written with escapes) it is the first
    line that, parsed with all before it, has so many tables. Tables written within one array have
    the line of its key.
    """
    above = _OF_PROJECT if Path(path).name == PROJECT_FILE else ""
    head = re.compile(rf"""\s*\[\[\s*{above}["']?{key}["']?\s*\]\]""")
    start = re.compile(rf"""^\s*(?:[\w."'-]+\.\s*)?["']?{key}["']?\s*=""")
    lines = text.split("\n")
    heads = [number for number, line in enumerate(lines, 1) if head.match(line)]
    if len(heads) == n_tables:
        return heads
    found: list[int] = []
    for number, line in enumerate(lines, 1):
        n_found = len(found)
        if line.lstrip().startswith("[[") and _count(path, key, lines[:number]) > n_found:
            found.append(number)
    one = next((number for number, line in enumerate(lines, 1) if start.match(line)), 1)
    return found if len(found) == n_tables else [one] * n_tables


def _count(path: str, key: str, lines: Sequence[str]) -> int:
    try:
        tables = _section(path, tomllib.loads("\n".join(lines))).get(key, [])
    except (ValueError, RecursionError, PReLUToolsError):
        return 0
    return len(tables) if isinstance(tables, list) else 0
