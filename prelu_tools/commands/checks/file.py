"""The file that lists a project's checks: where it is, what its tables hold, and on which lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.commands.checks.fields import shown, suggestion
from prelu_tools.core.errors import PReLUToolsError, UsageError

OWN_FILE, PROJECT_FILE = "prelu-tools.toml", "pyproject.toml"
SECTION = "prelu-tools"
TABLES = {OWN_FILE: "[[checks]]", PROJECT_FILE: "[[tool.prelu-tools.checks]]"}
_EXAMPLE = 'with reference = "net.keras" and candidates = ["net.onnx"]'
_HEADS = {
    file: re.compile(rf"\s*\[\[\s*{path}\s*\]\]")
    for file, path in (
        (OWN_FILE, r"""["']?checks["']?"""),
        (PROJECT_FILE, r"""["']?tool["']?\s*\.\s*["']?prelu-tools["']?\s*\.\s*["']?checks["']?"""),
    )
}
_KEY = re.compile(r"""^\s*(?:[\w."'-]+\.\s*)?["']?checks["']?\s*=""")


class CheckListError(UsageError):
    """Something in a list of checks makes no sense.

    Args:
        message: what, and what was expected.
        path: the file.
        line: where in it, from 1; None where it is the file as a whole.
    """

    def __init__(self, message: str, path: str, line: int | None = None) -> None:
        """Keep the place beside the sentence."""
        super().__init__(message)
        self.path, self.line = path, line


@dataclass(frozen=True)
class CheckTable:
    """One table of the list, not understood yet."""

    path: str
    """The file."""
    number: int
    """Which of its checks, from 1."""
    line: int
    """The line that declares it, from 1."""
    values: Mapping[str, Any]
    """What it says, as TOML has it."""

    def error(self, message: str) -> CheckListError:
        """What to raise where it makes no sense; the check is named by its number and its name."""
        name = self.values.get("name", self.values.get("reference"))
        named = f" ({name!r})" if isinstance(name, str) else ""
        return CheckListError(
            f"{self.path}, check {self.number}{named}: {message}", self.path, self.line
        )


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
        f"{TABLES[PROJECT_FILE]} in {PROJECT_FILE} (or {TABLES[OWN_FILE]} in {OWN_FILE}) of the "
        f"current folder, each {_EXAMPLE}; prelu-tools init writes them for the models it finds"
    )


def read_tables(path: str) -> tuple[CheckTable, ...]:
    """The tables of a file, at least one.

    Raises:
        CheckListError: the file has no checks, or is no such list.
        PReLUToolsError: it cannot be read.
    """
    text = _text(path)
    tables = _tables(path, _section(path, _parsed(path, text)))
    lines = _lines(path, text, len(tables))
    return tuple(
        CheckTable(path, number, line, values)
        for number, (line, values) in enumerate(zip(lines, tables, strict=True), 1)
    )


def project_has_section() -> bool:
    """Whether pyproject.toml lists checks, as far as it can be read: its faults are no matter."""
    try:
        return bool(_section(PROJECT_FILE, _parsed(PROJECT_FILE, _text(PROJECT_FILE))))
    except PReLUToolsError:
        return False


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckListError(f"{path} is not a TOML file: {error}", path) from error


def _parsed(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else None
        raise CheckListError(f"{path} is not a TOML file: {error}", path, line) from error


def _section(path: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says to prelu-tools."""
    if path == OWN_FILE:
        return dict(document)
    tool = document.get("tool", {})
    section = tool.get(SECTION, {}) if isinstance(tool, dict) else {}
    if not isinstance(section, dict):
        raise CheckListError(
            f"{path}: tool.{SECTION} is {shown(section)}; expected a table that holds "
            f"{TABLES[path]}",
            path,
        )
    return section


def _tables(path: str, section: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    for key in section:
        if key != "checks":
            raise CheckListError(
                f"{path}: unknown key {key!r} beside the checks, each written as "
                f"{TABLES[path]}; {suggestion(key, ('checks',))}",
                path,
            )
    tables = section.get("checks", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise CheckListError(
            f"{path}: checks is {shown(tables)}; expected tables {TABLES[path]}", path
        )
    if not tables:
        raise CheckListError(
            f"{path} lists no checks: write {TABLES[path]} {_EXAMPLE}, or give "
            "REFERENCE CANDIDATE..., or let prelu-tools init write it",
            path,
        )
    return tables


def _lines(path: str, text: str, n_tables: int) -> list[int]:
    """The line of each table: those that look like the head of one, where there are as many.

    Else (one may stand within a text of several lines, or be written with escapes) it is the first
    line that, parsed with all before it, has so many tables. Tables written within one array have
    the line of its key.
    """
    lines = text.split("\n")
    heads = [number for number, line in enumerate(lines, 1) if _HEADS[path].match(line)]
    if len(heads) == n_tables:
        return heads
    found: list[int] = []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("[[") and _count(path, "\n".join(lines[:number])) > len(found):
            found.append(number)
    key = next((number for number, line in enumerate(lines, 1) if _KEY.match(line)), 1)
    return found if len(found) == n_tables else [key] * n_tables


def _count(path: str, text: str) -> int:
    try:
        tables = _section(path, tomllib.loads(text)).get("checks", [])
    except (ValueError, RecursionError, PReLUToolsError):
        return 0
    return len(tables) if isinstance(tables, list) else 0
