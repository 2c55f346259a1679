"""The checks that a project lists in its pyproject.toml or prelu-tools.toml, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prelu_tools.commands.checks.fields import FIELDS, NEEDED, OF_SOURCE, shown, suggestion
from prelu_tools.commands.checks.file import CheckListError, CheckTable, find_file, read_tables
from prelu_tools.commands.checks.globs import Match, candidates_of, filled, matches, placeholders
from prelu_tools.commands.speaking import in_check_file, spoken_result
from prelu_tools.commands.verify.command import verify
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import UsageError, explained
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import WrongValueError
from prelu_tools.core.results.checks import CheckOutcome, ChecksResult
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.core.rounding.parity import worst


@dataclass(frozen=True)
class Check:
    """One check of a list; of a reference with a glob, one match."""

    name: str
    """No other check of the list has it."""
    request: VerifyRequest
    """What it asks for."""
    line: int = 1
    """The line of the file that declares it."""
    unmatched: str | None = None
    """The glob of it that matches nothing, in words, which keeps it from passing; None for none."""
    can_run: bool = True
    """Whether its reference is there, and a candidate."""


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
    path, notes = find_file()
    tables = read_tables(path)
    checks, given = [], []
    for table in tables:
        found = _checks(table, show_chatter)
        checks += found
        given += ["name" in table.values and len(found) == 1] * len(found)
    return CheckList(path, tuple(_named_apart(path, checks, given)), notes)


def _checks(table: CheckTable, show_chatter: bool) -> list[Check]:
    """The check of a table, or one for each match of its reference."""
    values, of_source = _values(table)
    options = SourceOptions(show_chatter=show_chatter, **of_source)
    try:
        found = matches(values["reference"])
        if found:
            return [_check(table, values, options, match) for match in found]
    except CheckListError:
        raise
    except UsageError as error:
        raise table.error(str(error)) from error
    # Nothing is filled in: the check is named as it is written.
    _refuse_what_has_no_effect(table, values, {})
    name = values.pop("name", values["reference"])
    why = f"the reference {values['reference']!r} matches no file"
    return [Check(name, VerifyRequest(options=options, **values), table.line, why, can_run=False)]


def _values(table: CheckTable) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a table says of the request, and of how sources are read."""
    values: dict[str, Any] = {}
    of_source: dict[str, Any] = {}
    for key, value in table.values.items():
        field = FIELDS.get(key)
        if field is None:
            raise table.error(f"unknown key {key!r}; {suggestion(key, FIELDS)}")
        try:
            (of_source if key in OF_SOURCE else values)[field.field] = field.kind.read(value)
        except WrongValueError as error:
            raise table.error(f"{key} is {shown(value)}; expected {error}") from error
    for key in NEEDED:
        if key not in values:
            raise table.error(f"missing key {key!r}, which every check needs")
    return values, of_source


def _check(
    table: CheckTable, values: Mapping[str, Any], options: SourceOptions, match: Match
) -> Check:
    found = candidates_of(values["candidates"], match)
    _refuse_what_has_no_effect(table, values, found.written)
    values = {**values, "reference": match.reference, "candidates": found.sources}
    if match.places is not None and "inputs_file" in values:
        values["inputs_file"] = Path(filled(str(values["inputs_file"]), match))
    if "layouts" in values:
        values["layouts"] = _layouts(values["layouts"], table, match, found.written)
    name = _name(values.pop("name", None), match)
    lost = ", ".join(map(repr, found.missing))
    why = f"no file matches {lost} of its candidates" if lost else None
    request = VerifyRequest(options=options, **values)
    return Check(name, request, table.line, why, can_run=bool(found.sources))


def _name(given: str | None, match: Match) -> str:
    """The name of a match: as the file says it, or the reference; apart from the other matches'."""
    if given is None or match.places is None:
        return given or match.reference
    return filled(given, match) if placeholders(given) else f"{given}: {match.reference}"


def _layouts(
    given: Mapping[str, Any], table: CheckTable, match: Match, written: Mapping[str, str]
) -> dict[str, Any]:
    """The axis orders by what the sources are now called; a glob's stands for all its matches."""
    found = dict(given)
    spelled = {match.reference: str(table.values["reference"]), **written}
    found.update({source: given[text] for source, text in spelled.items() if text in given})
    return found


def _refuse_what_has_no_effect(
    table: CheckTable, values: Mapping[str, Any], written: Mapping[str, str]
) -> None:
    """What would be passed over in silence, and so let a check pass that should not."""
    known = ("reference", "candidate", values["reference"], *values["candidates"], *written)
    for name in values.get("layouts", {}):
        if name not in known:
            raise table.error(
                f"layouts has {name!r}, which is not a model of the check; "
                f"{suggestion(name, set(known))}"
            )
    for gate, needed in (
        ("min_power", "power"),
        ("min_power", "layers"),
        ("min_coverage", "layers"),
    ):
        if gate in values and not values.get(needed, True):
            raise table.error(f"{gate} needs what {needed} = false leaves out")


def _named_apart(path: str, checks: Sequence[Check], is_named: Sequence[bool]) -> Iterator[Check]:
    """Names that were given stay as they are; one that would name two gets a number."""
    given = [check.name for check, named in zip(checks, is_named, strict=True) if named]
    taken = set(given)
    for name in taken:
        if given.count(name) > 1:
            line = [check.line for check in checks if check.name == name][1]
            raise CheckListError(
                f"{path}: {given.count(name)} checks have the name {name!r}", path, line
            )
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
        result, why = None, None if check.can_run else check.unmatched
        try:
            result = _run(check) if check.can_run else None
        except (Exception, SystemExit) as error:  # a source that exits is no verdict on the others
            failed(error)
            why = in_check_file(explained(error))
        request = check.request
        outcomes.append(
            CheckOutcome(check.name, request.reference, request.candidates, result, why, check.line)
        )
    return ChecksResult(found.path, tuple(outcomes))


def _run(check: Check) -> VerifyResult:
    """What is there is judged; what is not there keeps it from passing."""
    result = spoken_result(verify(check.request), in_check_file)
    if check.unmatched is None:
        return result
    verdict = worst([result.verdict, "inconclusive"])
    return replace(result, verdict=verdict, reasons=(*result.reasons, check.unmatched))
