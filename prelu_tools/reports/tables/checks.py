"""What `verify` found of a list of checks, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results.checks import CheckOutcome, ChecksResult
from prelu_tools.reports import Style
from prelu_tools.reports.facts import coverage_share, power_share, worst_difference
from prelu_tools.reports.tables.parts import COLOURS, counted, covered, grid, word, wrapped


def checks_tables(result: ChecksResult, style: Style) -> RenderableType:
    """A row a check, the verdict over all, and why those that did not pass did not."""
    parts: list[RenderableType] = [_table(result)]
    counts = ", ".join(f"{number:,} {kind}" for kind, number in result.summary.items() if number)
    summary = Text("\n").append(result.verdict.upper(), style=COLOURS[result.verdict])
    number = counted(len(result.outcomes), "check")
    parts.append(summary.append(f"  {number} of {result.path}: {counts or 'nothing was checked'}"))
    for outcome in result.outcomes:
        if outcome.verdict != "pass":
            title = Text("  ").append(outcome.verdict, style=COLOURS[outcome.verdict])
            parts.append(title.append(f"  {outcome.name}"))
            parts += [wrapped(reason, style.width, "    ") for reason in outcome.reasons]
    return Group(*parts)


def _table(result: ChecksResult) -> Table:
    """A row a check; the names are left out where each is that of the reference."""
    named = any(outcome.name != outcome.reference for outcome in result.outcomes)
    names = ("check",) if named else ()
    left = len(names) + 2
    table = grid(
        *(*names, "reference", "candidates", "max\nabs diff", "reached", "power", "verdict"),
        left=left,
        folding=tuple(range(left)),
    )
    for outcome in result.outcomes:
        table.add_row(
            *((outcome.name,) if named else ()),
            outcome.reference,
            "\n".join(outcome.candidates),
            *_figures(outcome),
            word(outcome.verdict),
        )
    return table


def _figures(outcome: CheckOutcome) -> tuple[str, str, str]:
    """The worst difference of an output, the coverage and the power; a dash for each unknown."""
    found = outcome.result
    if found is None:
        return "-", "-", "-"
    worst, power = worst_difference(found), found.power
    return (
        "-" if worst is None else f"{worst:.2e}",
        covered(coverage_share(found)),
        "-" if power is None else power_share(power),
    )
