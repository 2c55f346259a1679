"""The checks that a project lists in its pyproject.toml or prelu-tools.toml, and running them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prelu_tools import __version__
from prelu_tools.commands.check_fields import FIELDS, WrongValueError, shown, suggestion
from prelu_tools.commands.request import VerifyRequest
from prelu_tools.commands.verify import verify
from prelu_tools.core.checks import CheckOutcome, ChecksResult
from prelu_tools.core.errors import PReLUToolsError, UsageError, missing_extra
from prelu_tools.core.options import SourceOptions

OWN_FILE, PROJECT_FILE = "prelu-tools.toml", "pyproject.toml"
_SECTION = "prelu-tools"
_TABLES = {OWN_FILE: "[[checks]]", PROJECT_FILE: "[[tool.prelu-tools.checks]]"}
_EXAMPLE = 'with reference = "net.keras" and candidates = ["net.onnx"]'


@dataclass(frozen=True)
class Check:
    """One check of a list."""

    name: str
    """No other check of the list has it."""
    request: VerifyRequest
    """What it asks for."""


@dataclass(frozen=True)
class CheckList:
    """The checks of a file."""

    path: str
    """The file."""
    checks: tuple[Check, ...]
    """In the order of the file; at least one."""
    notes: tuple[str, ...] = ()
    """What the user should know of how they were found."""


def find_checks(show_chatter: bool = False) -> CheckList:
    """The checks of `prelu-tools.toml` in the current folder, else of `pyproject.toml` there.

    Args:
        show_chatter: whether to let the frameworks write to standard error.

    Raises:
        UsageError: there is no such file, it has no checks, or something in it makes no sense.
        PReLUToolsError: a file cannot be read.
    """
    if Path(OWN_FILE).exists():
        section = _parsed(OWN_FILE)
        notes = (_both(),) if Path(PROJECT_FILE).exists() and _project_has_section() else ()
        return CheckList(OWN_FILE, _checks(OWN_FILE, section, show_chatter), notes)
    if Path(PROJECT_FILE).exists():
        section = _project_section(_parsed(PROJECT_FILE))
        return CheckList(PROJECT_FILE, _checks(PROJECT_FILE, section, show_chatter))
    raise UsageError(
        f"there is nothing to check: give REFERENCE CANDIDATE..., or list checks under "
        f"{_TABLES[PROJECT_FILE]} in {PROJECT_FILE} (or {_TABLES[OWN_FILE]} in {OWN_FILE}) of the "
        f"current folder, each {_EXAMPLE}"
    )


def _both() -> str:
    return f"the checks are those of {OWN_FILE}; [tool.{_SECTION}] of {PROJECT_FILE} is not read"


def _parsed(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML file: {error}") from error


def _project_has_section() -> bool:
    """Whether it has, as far as it can be read: where it is not used, its faults are no matter."""
    try:
        return bool(_project_section(_parsed(PROJECT_FILE)))
    except PReLUToolsError:
        return False


def _project_section(document: Mapping[str, Any]) -> dict[str, Any]:
    tool = document.get("tool", {})
    section = tool.get(_SECTION, {}) if isinstance(tool, dict) else {}
    if not isinstance(section, dict):
        raise UsageError(
            f"{PROJECT_FILE}: tool.{_SECTION} is {shown(section)}; expected a table that holds "
            f"{_TABLES[PROJECT_FILE]}"
        )
    return section


def _checks(path: str, section: Mapping[str, Any], show_chatter: bool) -> tuple[Check, ...]:
    for key in section:
        if key != "checks":
            raise UsageError(
                f"{path}: there is no key {key!r} beside the checks, each written as "
                f"{_TABLES[path]}; {suggestion(key, ('checks',))}"
            )
    tables = section.get("checks", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: checks is {shown(tables)}; expected tables {_TABLES[path]}")
    if not tables:
        raise UsageError(
            f"{path} lists no checks: write {_TABLES[path]} {_EXAMPLE}, or give "
            "REFERENCE CANDIDATE..."
        )
    checks = [
        _check(_label(path, number, table), table, show_chatter)
        for number, table in enumerate(tables, 1)
    ]
    return tuple(_named_apart(path, checks, ["name" in table for table in tables]))


def _label(path: str, number: int, table: Mapping[str, Any]) -> str:
    """The file, and which of its checks it is: by its number, and its name where it has one."""
    name = table.get("name", table.get("reference"))
    return f"{path}, check {number}" + (f" ({name!r})" if isinstance(name, str) else "")


def _check(label: str, table: Mapping[str, Any], show_chatter: bool) -> Check:
    values: dict[str, Any] = {}
    of_source: dict[str, Any] = {"show_chatter": show_chatter}
    for key, value in table.items():
        field = FIELDS.get(key)
        if field is None:
            raise UsageError(f"{label}: there is no key {key!r}; {suggestion(key, FIELDS)}")
        try:
            (of_source if field.of_source else values)[field.attribute] = field.read(value)
        except WrongValueError as error:
            raise UsageError(f"{label}: {key} is {shown(value)}; expected {error}") from error
    for key in ("reference", "candidates"):
        if key not in values:
            raise UsageError(f"{label}: there is no {key!r}, which every check needs")
    _refuse_what_has_no_effect(label, values)
    name = values.pop("name", values["reference"])
    return Check(name, VerifyRequest(options=SourceOptions(**of_source), **values))


def _refuse_what_has_no_effect(label: str, values: Mapping[str, Any]) -> None:
    """What would be passed over in silence, and so let a check pass that should not."""
    known = ("reference", "candidate", values["reference"], *values["candidates"])
    for name in values.get("layouts", {}):
        if name not in known:
            raise UsageError(
                f"{label}: layouts has {name!r}, which is no model of the check; "
                f"{suggestion(name, set(known))}"
            )
    for gate, needed in (
        ("min_power", "power"),
        ("min_power", "layers"),
        ("min_coverage", "layers"),
    ):
        if gate in values and not values.get(needed, True):
            raise UsageError(f"{label}: {gate} asks for what {needed} = false leaves out")


def _named_apart(path: str, checks: Sequence[Check], is_named: Sequence[bool]) -> Iterator[Check]:
    """Names that were given stay as they are; a reference that would name two gets a number."""
    given = [check.name for check, named in zip(checks, is_named, strict=True) if named]
    taken = set(given)
    for name in taken:
        if given.count(name) > 1:
            raise UsageError(f"{path}: {given.count(name)} checks have the name {name!r}")
    for check, named in zip(checks, is_named, strict=True):
        name, number = check.name, 1
        while not named and name in taken:
            number += 1
            name = f"{check.name} ({number})"
        taken.add(name)
        yield replace(check, name=name)


def run_checks(
    found: CheckList,
    started: Callable[[str], None] = lambda name: None,
    failed: Callable[[BaseException], None] = lambda error: None,
) -> ChecksResult:
    """Run every check, whatever becomes of the others.

    Args:
        found: what to run.
        started: told the name of each check before it runs.
        failed: told the error of each check that could not be run.
    """
    outcomes = []
    for check in found.checks:
        started(check.name)
        result, why = None, None
        try:
            result = verify(check.request)
        except (Exception, SystemExit) as error:  # a source that exits is no verdict on the others
            failed(error)
            why = _in_words(error)
        request = check.request
        outcomes.append(
            CheckOutcome(check.name, request.reference, request.candidates, result, why)
        )
    return ChecksResult(found.path, tuple(outcomes))


def _in_words(error: BaseException) -> str:
    known = missing_extra(error) or error
    if isinstance(known, PReLUToolsError):
        return str(known) or type(known).__name__
    return (
        f"unexpected {type(error).__name__}: {error}. This is a defect of prelu-tools "
        f"{__version__}; -v shows where it happened."
    )
