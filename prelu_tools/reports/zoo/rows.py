"""What one line says of one model: the same in every format, read from the model's document."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, Status
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.tables.parts import counted, covered, number, share

_SEVERITIES = ("error", "warning")
_MOST_NAMES = 5

_HEADERS: Mapping[Command, tuple[str, ...]] = {
    "inspect": ("model", "layers", "slopes", "mean", "min", "max", "<0", "findings", "status"),
    "verify": (
        *("check", "reference", "candidates", "max abs diff", "reached", "power", "verdict"),
    ),
    "export": ("source", "model", "bytes", "layers", "max abs diff", "status"),
}
_N_NAMES: Mapping[Command, int] = {"inspect": 1, "verify": 3, "export": 2}


@dataclass(frozen=True)
class Row:
    """One model; every text is printable."""

    cells: tuple[str, ...]
    """For `headers`; candidates are on a line each."""
    status: Status
    """Of the entry."""
    name: str
    """Of the entry."""
    reasons: tuple[str, ...]
    """Why it is neither a pass nor ok."""
    findings: tuple[tuple[str, str], ...] = ()
    """Severity and code of each finding that is an error or a warning, each once."""


def headers(result: BatchResult) -> tuple[str, ...]:
    """The columns; the last one is the status."""
    return _HEADERS[result.command][_n_left_out(result) :]


def n_names(result: BatchResult) -> int:
    """How many columns are names; those between them and the last one are figures."""
    return _N_NAMES[result.command] - _n_left_out(result)


def _n_left_out(result: BatchResult) -> int:
    """The names of checks are left out where each is that of its reference."""
    is_same = all(entry.name == entry.path for entry in result.entries)
    return int(result.command == "verify" and is_same)


def rows_of(result: BatchResult) -> Iterator[Row]:
    """A row for each model, in order."""
    cells, n_left_out = _CELLS[result.command], _n_left_out(result)
    for entry in result.entries:
        document = entry.document
        names = (entry.name, entry.path, "") if result.command == "verify" else (entry.name,)
        figures = cells(document) if document else _unknown(result.command)
        row = cleaned(
            Row(
                cells=(*names, *figures, entry.status),
                status=entry.status,
                name=entry.name,
                reasons=entry.reasons,
                findings=tuple(dict.fromkeys(_findings(document or {}))),
            ),
            LONGEST,
        )
        shown = [*row.cells]
        if result.command == "verify":
            shown[2] = "\n".join(cleaned(entry.candidates, LONGEST))
        yield replace(row, cells=tuple(shown[n_left_out:]))


def _unknown(command: Command) -> tuple[str, ...]:
    """The cells of a model without a result, but for its names and its status."""
    if command == "export":
        return ("", "-", "-", "-")
    return ("-",) * (len(_HEADERS[command]) - _N_NAMES[command] - 1)


def verification_of(entry: BatchEntry) -> VerifyResult | None:
    """What `verify` found of a job, every text of it printable; None where there is none."""
    return cleaned(entry.verification)


def headline(result: BatchResult) -> str:
    """How many models, of which list, and how many of each status."""
    counts = ", ".join(f"{n:,} {kind}" for kind, n in result.summary.items() if n)
    number = counted(len(result.entries), "check" if result.command == "verify" else "model")
    of = f" of {result.path}" if result.path else ""
    return f"{number}{of}: {counts or 'nothing was checked'}"


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
