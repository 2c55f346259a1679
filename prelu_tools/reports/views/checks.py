"""What `verify` found of a list of checks: a row for each, and each in full."""

from __future__ import annotations

from prelu_tools.core.results.checks import CheckOutcome, ChecksResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import Cell, Column, Name, Section, Share, Table, Word
from prelu_tools.reports.sentences import coverage_share, power_share, worst_difference
from prelu_tools.reports.views import verify
from prelu_tools.reports.words import counted, covered, tally


def view(result: ChecksResult, style: Style) -> Section:
    """The document of a list of checks."""
    outcomes = enumerate(result.outcomes, 1)
    parts = [_outcome(number, outcome, style) for number, outcome in outcomes]
    counts = tally(result.summary) or "nothing was checked"
    headline = f"{counted(len(parts), 'check')} of {result.path}: {counts}"
    return Section((Name(result.path),), (_table(result), *parts), result.verdict, headline)


def _table(result: ChecksResult) -> Table:
    """A row a check; the names are left out where each is that of the reference."""
    named = any(outcome.name != outcome.reference for outcome in result.outcomes)
    columns = (
        *((Column("check", "name"),) if named else ()),
        Column("reference", "name"),
        Column("candidates", "name"),
        Column("max\nabs diff"),
        Column("reached"),
        Column("power"),
        Column("verdict", "word"),
    )
    rows = [_row(number, one, named) for number, one in enumerate(result.outcomes, 1)]
    return Table(columns, tuple(rows), sortable=True)


def _row(number: int, outcome: CheckOutcome, named: bool) -> tuple[Cell, ...]:
    """Names, the worst difference of an output, coverage and power; a dash for each unknown."""
    link = f"#check-{number}"
    names = (Name(outcome.name, link), Name(outcome.reference))
    found = outcome.result
    worst = None if found is None else worst_difference(found)
    share = None if found is None else coverage_share(found)
    power = None if found is None else found.power
    return (
        *(names if named else (Name(outcome.reference, link),)),
        tuple(map(Name, outcome.candidates)),
        "-" if worst is None else f"{worst:.2e}",
        Share(covered(share), share),
        "-" if power is None else power_share(power),
        Word(outcome.verdict),
    )


def _outcome(number: int, outcome: CheckOutcome, style: Style) -> Section:
    """A check in full."""
    title, anchor = (Name(outcome.name),), f"check-{number}"
    if outcome.result is None:
        return Section(
            title, verdict=outcome.verdict, reasons=outcome.reasons, folded=True, anchor=anchor
        )
    found = verify.view(outcome.result, style)
    return Section(title, found.blocks, found.verdict, found.headline, found.reasons, True, anchor)
