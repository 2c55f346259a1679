"""What one line says of one model: the same in every format, read from the model's document."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, Status
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.tables.parts import counted, covered, number, share

_SEVERITIES = ("error", "warning")
_MOST_NAMES = 5

HEADERS: Mapping[Command, tuple[str, ...]] = {
    "inspect": ("model", "layers", "slopes", "mean", "min", "max", "<0", "findings", "status"),
    "verify": ("model", "candidates", "max abs diff", "reached", "power", "verdict"),
    "export": ("source", "model", "bytes", "layers", "max abs diff", "status"),
}
N_NAMES: Mapping[Command, int] = {"inspect": 1, "verify": 2, "export": 2}
"""How many columns are names; the last one is the status, those between are figures."""


@dataclass(frozen=True)
class Row:
    """One model; every text is printable."""

    cells: tuple[str, ...]
    """For `HEADERS`."""
    status: Status
    """Of the entry."""
    name: str
    """Of the entry."""
    reasons: tuple[str, ...]
    """Why it is neither a pass nor ok."""
    findings: tuple[tuple[str, str], ...] = ()
    """Severity and code of each finding that is an error or a warning, each once."""


def rows_of(result: BatchResult) -> Iterator[Row]:
    """A row for each model, in order."""
    cells = _CELLS[result.command]
    for entry in result.entries:
        document = entry.document
        known = "error" not in document
        figures = cells(document) if known else ("-",) * (len(HEADERS[result.command]) - 2)
        if not known and result.command != "inspect":
            figures = ("", *figures[1:])
        row = Row(
            cells=(_title(entry), *figures, entry.status),
            status=entry.status,
            name=entry.name,
            reasons=entry.reasons,
            findings=tuple(dict.fromkeys(_findings(document))),
        )
        yield cleaned(row, LONGEST)


def headline(result: BatchResult) -> str:
    """How many models, and how many of each status."""
    counts = ", ".join(f"{n:,} {kind}" for kind, n in result.summary.items() if n)
    return f"{counted(len(result.entries), 'model')}: {counts or 'nothing was checked'}"


def overall(result: BatchResult) -> Status:
    """The status of all of them together."""
    if result.exit_code == 0:
        return "pass" if result.command == "verify" else "ok"
    return "fail" if result.exit_code == 1 else "inconclusive"


def finding_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Each kind of finding with the models that have it, the worst first."""
    having: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for kind in row.findings:
            having.setdefault(kind, []).append(row.name)
    for severity in _SEVERITIES:
        for kind in sorted(kind for kind in having if kind[0] == severity):
            names = having[kind]
            rest = len(names) - _MOST_NAMES
            more = f" and {rest:,} more" if rest > 0 else ""
            shown = ", ".join(names[:_MOST_NAMES])
            yield f"{severity} {kind[1]}: {counted(len(names), 'model')}: {shown}{more}"


def _title(entry: BatchEntry) -> str:
    return entry.name


def _findings(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place in (document, *document.get("layers", ())):
        for finding in place.get("findings", ()):
            if finding["severity"] in _SEVERITIES:
                yield finding["severity"], finding["code"]


def _inspect(document: Mapping[str, Any]) -> tuple[str, ...]:
    stats = document["statistics"]
    found = list(dict.fromkeys(_findings(document)))
    counts = [
        counted(sum(kind[0] == severity for kind in found), severity)
        for severity in _SEVERITIES
        if any(kind[0] == severity for kind in found)
    ]
    findings = ", ".join(counts) or "-"
    layers = f"{len(document['layers']):,}"
    if stats is None:
        return (layers, "0", "-", "-", "-", "-", findings)
    values = (number(as_number(stats[name])) for name in ("mean", "min", "max"))
    negative = share(stats["n_negative"], stats["count"])
    return (layers, f"{stats['count']:,}", *values, negative, findings)


def _verify(document: Mapping[str, Any]) -> tuple[str, ...]:
    coverage, power = document["coverage"], document["power"]
    total = coverage["total"] if coverage else 0
    reached = coverage["exercised"] / total if total else None
    planted = power["planted"] if power else 0
    caught = math.floor(100 * power["detected"] / planted) / 100 if planted else None
    return (
        ", ".join(dict.fromkeys(one["model"] for one in document["candidates"])),
        _difference(document),
        covered(reached),
        "-" if caught is None else f"{caught:.2f}",
    )


def _export(document: Mapping[str, Any]) -> tuple[str, ...]:
    model, checked = document["model"], document["verification"]
    return (
        model["path"],
        f"{model['bytes'] + model['data_bytes']:,}",
        f"{len(document['layers']):,}",
        _difference(checked) if checked else "not verified",
    )


def _difference(document: Mapping[str, Any]) -> str:
    """The worst of all outputs: NaN is worse than any number."""
    found = [
        as_number(output["max_abs_diff"])
        for candidate in document["candidates"]
        for output in candidate["outputs"]
    ]
    if not found:
        return "-"
    return f"{next(filter(math.isnan, found), max(found)):.2e}"


def as_number(value: float | str | None) -> float:
    """What JSON has no number for is a word there; nothing is NaN."""
    return math.nan if value is None else float(value)


_CELLS: Mapping[Command, Callable[[Mapping[str, Any]], tuple[str, ...]]] = {
    "inspect": _inspect,
    "verify": _verify,
    "export": _export,
}
