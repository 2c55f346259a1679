"""What became of many models: a row for each, and why those that did not pass did not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, WorkerInfo
from prelu_tools.reports import Style
from prelu_tools.reports.document import (
    Block,
    Cell,
    Column,
    Facts,
    Lines,
    Name,
    Section,
    Share,
    Table,
    Text,
    Word,
    Written,
)
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.words import counted, covered, listed, number, share, tally

_SEVERITIES = ("error", "warning")
_ORDER = ("pass", "ok", "with warnings", "with errors", "fail", "inconclusive", "error")
_COLUMNS: Mapping[Command, tuple[Column, ...]] = {
    "inspect": (
        Column("model", "name"),
        *(Column(title) for title in ("layers", "slopes", "mean", "min", "max", "<0")),
        Column("findings", "text"),
        Column("status", "word"),
    ),
    "verify": (
        Column("model", "name"),
        Column("candidates", "name"),
        Column("max\nabs diff"),
        Column("reached"),
        Column("power"),
        Column("verdict", "word"),
    ),
    "export": (
        Column("source", "name"),
        Column("model", "name"),
        Column("bytes"),
        Column("layers"),
        Column("max\nabs diff"),
        Column("status", "word"),
    ),
}


def view(result: BatchResult, style: Style) -> Section:
    """The document of a run over many models."""
    documents = [cleaned(entry.document, LONGEST) for entry in result.entries]
    words = [_word(*one) for one in zip(result.entries, documents, strict=True)]
    shown = [entry.shown for entry in result.entries if entry.shown]
    table = Table(_COLUMNS[result.command], tuple(_rows(result, documents, words)), sortable=True)
    parts: list[Block] = [Written(text) for text in shown] if shown else [table]
    parts += [_entry(entry) for entry in result.entries if entry.reasons]
    parts += [Lines(result.notes), _workers(result.workers)]
    number_of = Counter(sorted(words, key=_ORDER.index))
    counts = tally(number_of) or "nothing was checked"
    headline = f"{counted(len(documents), 'model')}: {counts}"
    return Section(
        f"{result.command} of many models", tuple(parts), _overall(result, words), headline,
        tuple(_findings_of_all(result, documents)),
    )  # fmt: skip


def _overall(result: BatchResult, words: Sequence[Word]) -> str:
    """The status of all of them together; a warning is not ok."""
    if result.exit_code == 0:
        found = [word.status for word in words]
        worst = next((severity for severity in _SEVERITIES if severity in found), "ok")
        return "pass" if result.command == "verify" else worst
    return "fail" if result.exit_code == 1 else "inconclusive"


def _word(entry: BatchEntry, document: Mapping[str, Any]) -> Word:
    """The status; where findings are in the way of an `ok`, these."""
    found = [severity for severity, _ in _findings(document)]
    worst = next((severity for severity in _SEVERITIES if severity in found), None)
    if entry.status == "ok" and worst:
        return Word(f"with {worst}s", worst)
    return Word(entry.status)


def _rows(
    result: BatchResult, documents: Sequence[Mapping[str, Any]], words: Sequence[Word]
) -> Iterator[tuple[Cell, ...]]:
    n_figures = len(_COLUMNS[result.command]) - 2
    for entry, document, word in zip(result.entries, documents, words, strict=True):
        link = f"#{_anchor(entry)}" if entry.reasons else ""
        known = "error" not in document
        figures = _CELLS[result.command](document) if known else ("-",) * n_figures
        yield (Name(entry.name, link), *figures, word)


def _anchor(entry: BatchEntry) -> str:
    return f"model-{entry.name}"


def _entry(entry: BatchEntry) -> Section:
    return Section(
        (Name(entry.name),), verdict=entry.status, reasons=entry.reasons, folded=True,
        anchor=_anchor(entry),
    )  # fmt: skip


def _workers(workers: Sequence[WorkerInfo]) -> Section:
    """Where they ran; a machine's name is nobody else's business."""
    lines = [
        f"Python {worker.python} on {worker.platform}; "
        f"{', '.join(f'{name} {version}' for name, version in worker.versions.items())}; "
        f"{', '.join(worker.providers) or 'no execution provider'}"
        for worker in workers
    ]
    pairs = tuple((counted(lines.count(line), "worker"), line) for line in dict.fromkeys(lines))
    return Section("Workers", (Facts(pairs),) if pairs else (), folded=True)


def _findings_of_all(result: BatchResult, documents: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """Each kind of finding with the models that have it, the worst first."""
    having: dict[tuple[str, str], list[str]] = {}
    for entry, document in zip(result.entries, documents, strict=True):
        for kind in dict.fromkeys(_findings(document)):
            having.setdefault(kind, []).append(entry.name)
    for severity, code in sorted(having, key=lambda kind: (_SEVERITIES.index(kind[0]), kind[1])):
        names = having[severity, code]
        yield (Word(severity), f" {code}: {counted(len(names), 'model')}: {listed(names)}")


def _findings(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place in (document, *document.get("layers", ())):
        for finding in place.get("findings", ()):
            if finding["severity"] in _SEVERITIES:
                yield finding["severity"], finding["code"]


def _inspect(document: Mapping[str, Any]) -> tuple[Cell, ...]:
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
    values = (number(_as_number(stats[name])) for name in ("mean", "min", "max"))
    negative = share(stats["n_negative"], stats["count"])
    return (layers, f"{stats['count']:,}", *values, negative, findings)


def _verify(document: Mapping[str, Any]) -> tuple[Cell, ...]:
    coverage, power = document["coverage"], document["power"]
    total = coverage["total"] if coverage else 0
    reached = coverage["exercised"] / total if total else None
    planted = power["planted"] if power else 0
    caught = math.floor(100 * power["detected"] / planted) / 100 if planted else None
    return (
        tuple(Name(name) for name in dict.fromkeys(one["model"] for one in document["candidates"])),
        _difference(document),
        Share(covered(reached), reached),
        "-" if caught is None else f"{caught:.2f}",
    )


def _export(document: Mapping[str, Any]) -> tuple[Cell, ...]:
    model, checked = document["model"], document["verification"]
    return (
        Name(model["path"]),
        f"{model['bytes'] + model['data_bytes']:,}",
        f"{len(document['layers']):,}",
        _difference(checked) if checked else "not verified",
    )


def _difference(document: Mapping[str, Any]) -> str:
    """The worst of all outputs: NaN is worse than any number."""
    found = [
        _as_number(output["max_abs_diff"])
        for candidate in document["candidates"]
        for output in candidate["outputs"]
    ]
    if not found:
        return "-"
    return f"{next(filter(math.isnan, found), max(found)):.2e}"


def _as_number(value: float | str | None) -> float:
    """What JSON has no number for is a word there; nothing is NaN."""
    return math.nan if value is None else float(value)


_CELLS: Mapping[Command, Callable[[Mapping[str, Any]], tuple[Cell, ...]]] = {
    "inspect": _inspect,
    "verify": _verify,
    "export": _export,
}
