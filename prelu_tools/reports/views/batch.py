"""The outcome for many models: a row for each, and why some did not pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, WorkerInfo
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Style
from prelu_tools.reports.document import (
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
from prelu_tools.reports.sentences import (
    POWER,
    REACHED,
    coverage_share,
    headline,
    headline_of,
    power_share,
    worst_difference,
)
from prelu_tools.reports.views import verify
from prelu_tools.reports.words import counted, covered, listed, number, shape, share

_SEVERITIES = ("error", "warning")
_MOST_LAYERS = 5000  # of all models together, that a page shows in full
_ORDER = ("pass", "ok", "with warnings", "with errors", "fail", "inconclusive", "error")
_COLUMNS: Mapping[Command, tuple[Column, ...]] = {
    "inspect": (
        Column("model", "name"),
        *(Column(title) for title in ("layers", "slopes", "mean", "min", "max", "<0")),
        Column("findings", "text"),
        Column("status", "word"),
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
    documents = [cleaned(entry.document or {}, LONGEST) for entry in result.entries]
    words = [_word(*one) for one in zip(result.entries, documents, strict=True)]
    if result.command == "verify":
        found = [cleaned(entry.verification, LONGEST) for entry in result.entries]
        columns, rows = _checks(result.entries, found, words)
        reasons: Iterable[Text] = ()
        each = [
            _check(place, *one, style)
            for place, one in enumerate(zip(result.entries, found, strict=True), 1)
        ]
    else:
        reasons = _findings_of_all(result, documents)
        n_layers = sum(len(document.get("layers", ())) for document in documents)
        in_full = result.command == "inspect" and n_layers <= _MOST_LAYERS
        columns = _COLUMNS[result.command]
        rows = tuple(_rows(result, documents, words, in_full))
        pairs = zip(result.entries, documents, strict=True)
        each = [_model(place, *pair, in_full) for place, pair in enumerate(pairs, 1)]
    shown = tuple(Written(entry.shown) for entry in result.entries if entry.shown)
    parts = (*(shown or (Table(columns, rows, sortable=True),)), *each)
    return Section(
        (Name(result.path),) if result.path else f"{result.command} of many models",
        (*parts, Lines(result.notes), _workers(result.workers)),
        _overall(result, words),
        _headline(result, words),
        tuple(reasons),
        tuple(_warnings_of_all(result.entries)),
    )


def _headline(result: BatchResult, words: Sequence[Word]) -> str:
    """How many there are of each word of the last column; a warning is not ok."""
    if "with warnings" not in words and "with errors" not in words:
        return headline(result)
    counts = Counter(map(str, sorted(words, key=_ORDER.index)))
    if "with errors" in counts and "error" in counts:  # two different things
        counts["without a result"] = counts.pop("error")
    return headline_of(result, counts)


def _overall(result: BatchResult, words: Sequence[Word]) -> str:
    """The status of all of them together; a warning is not ok."""
    found = [word.status for word in words]
    worst = next((severity for severity in _SEVERITIES if severity in found), "ok")
    return worst if result.status == "ok" else result.status


def _word(entry: BatchEntry, document: Mapping[str, Any]) -> Word:
    """The status; where findings or warnings are in the way of an `ok` or a pass, these."""
    found = [severity for severity, _ in _findings(document)]
    found += ["warning" for _ in entry.warnings]
    worst = next((severity for severity in _SEVERITIES if severity in found), None)
    if entry.status in ("pass", "ok") and worst:
        return Word(f"with {worst}s", worst)
    return Word(entry.status)


def _warnings_of_all(entries: Sequence[BatchEntry]) -> Iterator[Text]:
    """What makes each check prove less than it seems to."""
    for entry in entries:
        for note in cleaned(entry.warnings, LONGEST):
            yield (Word("warning"), "  ", Name(entry.name), f": {note}")


def _checks(
    entries: Sequence[BatchEntry], found: Sequence[VerifyResult | None], words: Sequence[Word]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """A row a check; the names are left out where each is that of its reference."""
    named = any(entry.name != entry.path for entry in entries)
    columns = (
        *((Column("check", "name"),) if named else ()),
        Column("reference", "name"),
        Column("candidates", "name"),
        Column("max\nabs diff"),
        Column("reached", meaning=REACHED),
        Column("power", meaning=POWER),
        Column("verdict", "word"),
    )
    rows = []
    checks = zip(entries, found, words, strict=True)
    for place, (entry, result, word) in enumerate(checks, 1):
        link = f"#check-{place}"
        names = (Name(entry.name, link), Name(entry.path))
        worst = None if result is None else worst_difference(result)
        part = None if result is None else coverage_share(result)
        power = None if result is None else result.power
        rows.append(
            (
                *(names if named else (Name(entry.path, link),)),
                tuple(map(Name, entry.candidates)),
                "-" if worst is None else f"{worst:.2e}",
                Share(covered(part), part),
                "-" if power is None else power_share(power),
                word,
            )
        )
    return columns, tuple(rows)


def _check(place: int, entry: BatchEntry, found: VerifyResult | None, style: Style) -> Section:
    """A check in full."""
    if found is None:
        return _reasons(place, entry)
    seen = verify.view(found, style)
    reasons = seen.reasons if len(found.candidates) == 1 else entry.reasons  # of each candidate
    title, anchor = (Name(entry.name),), f"check-{place}"
    return replace(seen, title=title, reasons=reasons, folded=True, anchor=anchor)


def _rows(
    result: BatchResult,
    documents: Sequence[Mapping[str, Any]],
    words: Sequence[Word],
    in_full: bool,
) -> Iterator[tuple[Cell, ...]]:
    n_figures = len(_COLUMNS[result.command]) - 2
    entries = zip(result.entries, documents, words, strict=True)
    for place, (entry, document, word) in enumerate(entries, 1):
        link = f"#check-{place}" if entry.reasons or in_full else ""
        figures = _CELLS[result.command](document) if document else ("-",) * n_figures
        yield (Name(entry.name, link), *figures, word)


def _reasons(place: int, entry: BatchEntry) -> Section:
    """Why a model is neither a pass nor ok."""
    return Section(
        (Name(entry.name),),
        verdict=entry.status,
        reasons=entry.reasons,
        folded=True,
        anchor=f"check-{place}",
    )


def _model(place: int, entry: BatchEntry, document: Mapping[str, Any], in_full: bool) -> Section:
    """A model; in full with its layers and findings."""
    section = _reasons(place, entry)
    if not in_full or not document:
        return section
    found = [(None, document["findings"])]
    found += [(layer["name"], layer["findings"]) for layer in document["layers"]]
    lines = [
        (Word(one["severity"]), f" {one['code']}{f' in {name}' if name else ''}: {one['message']}")
        for name, findings in found
        for one in findings
    ]
    blocks = (_layers(document), Lines.of(lines))
    return replace(section, verdict=_word(entry, document), blocks=blocks, on_pages=True)


def _layers(document: Mapping[str, Any]) -> Table:
    columns = (
        Column("layer", "name"),
        *(Column(title, "text") for title in ("form", "sharing", "shape", "health")),
        *(Column(title) for title in ("slopes", "mean", "std", "min", "max", "<0", ">1")),
    )
    rows = []
    for layer in document["layers"]:
        stats = layer["statistics"]
        figures = (
            number(None if stats[name] is None else _as_number(stats[name]))
            for name in ("mean", "std", "min", "max")
        )
        rows.append(
            (
                Name(layer["name"]),
                layer["form"],
                layer["sharing"],
                shape(tuple(layer["slope_shape"])),
                ", ".join(layer["health"]),
                f"{stats['count']:,}",
                *figures,
                share(stats["n_negative"], stats["count"]),
                share(stats["n_above_one"], stats["count"]),
            )
        )
    return Table(columns, tuple(rows))


def _workers(workers: Sequence[WorkerInfo]) -> Section:
    """Where the models ran, without names of hosts."""
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
        yield (Word(severity), f" {code} in {counted(len(names), 'model')}: {listed(names)}")


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
    "export": _export,
}
