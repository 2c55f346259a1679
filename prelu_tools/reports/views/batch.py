"""The outcome for many models: a row for each, and why some did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from prelu_tools.core.results.batch import BatchEntry, BatchResult, WorkerInfo
from prelu_tools.core.results.inspection import InspectSummary, LayerSummary
from prelu_tools.core.results.reading import from_document
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.rounding.parity import worst
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
from prelu_tools.reports.headline import first_of
from prelu_tools.reports.printable import LONGEST, cleaned
from prelu_tools.reports.sentences import (
    NOT_MEASURED,
    POWER,
    REACHED,
    coverage_share,
    headline,
    headline_of,
    interfaces,
    other_warnings,
    power_share,
    unknown_records,
    worst_difference,
)
from prelu_tools.reports.views import verify
from prelu_tools.reports.views.inspect import NUMBERS, numbers
from prelu_tools.reports.words import counted, covered, shape

_SEVERITIES = ("error", "warning")
_MOST_LAYERS = 5000  # of all models together, that a page shows in full
_MOST_NAMED = 5  # models that have a finding
_MOST_LISTED = 12  # of those that did not pass, above the table
_ORDER = ("pass", "ok", "with warnings", "with errors", "fail", "inconclusive", "error")
_OF_INSPECT = (
    Column("model", "name"),
    *(Column(title) for title in ("layers", "slopes", "mean", "min", "max", "<0")),
    Column("findings", "text"),
    Column("status", "word"),
)
_OF_EXPORT = (
    Column("source", "name"),
    Column("model", "name"),
    *(Column(title) for title in ("bytes", "layers", "max\nabs diff")),
    Column("status", "word"),
)


class _Parts(NamedTuple):
    """What is shown of the models of one command."""

    words: Sequence[Word]
    """The last cell of each row."""
    columns: tuple[Column, ...]
    """Those of the table."""
    cells: Sequence[tuple[Cell, ...]]
    """A row for each."""
    each: Sequence[Section]
    """Each in full."""
    reasons: Iterable[Text] = ()
    """What stands above the table."""


def view(result: BatchResult, style: Style) -> Section:
    """The document of a run over many models."""
    parts = _PARTS[result.command](result.entries, style)
    words = parts.words
    shown = tuple(Written(entry.shown) for entry in result.entries if entry.shown)
    table = Table(parts.columns, tuple(parts.cells), sortable=True)
    # A quick check measures no power.
    tables = shown or (table.without() if result.command == "verify" else table,)
    return Section(
        (Name(result.path),) if result.path else f"{result.command} of many models",
        (
            _not_passed(result.entries),
            *tables,
            *parts.each,
            Lines.of((*result.notes, *unknown_records(result), *interfaces(result))),
            _workers(result.workers),
        ),
        _overall(result, words),
        _headline(result, words),
        tuple(parts.reasons),
        tuple(_warnings_of_all(result.entries)),
    )


def in_words(result: BatchResult, style: Style) -> tuple[tuple[Word, ...], str]:
    """The word of each model or check, and the headline of all: a warning is not ok."""
    words = tuple(_PARTS[result.command](result.entries, style).words)
    return words, _headline(result, words)


def _not_passed(entries: Sequence[BatchEntry]) -> Section:
    """The first reason of each that is neither a pass nor ok, for pages: the rest is far below."""
    lines: list[Text] = [
        (
            Word(entry.status),
            " ",
            Name(entry.name, f"#check-{place}"),
            f": {first_of(entry.reasons)}",
        )
        for place, entry in enumerate(entries, 1)
        if entry.status not in ("pass", "ok") and len(entries) > 1
    ]
    rest = len(lines) - _MOST_LISTED
    more = [f"and {rest:,} more: sort the table by its last column"] if rest > 0 else []
    return Section("Not passed", (Lines.of((*lines[:_MOST_LISTED], *more)),), on_pages=True)


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


def _word(entry: BatchEntry, seen: InspectSummary | None = None) -> Word:
    """The status; where findings or warnings are in the way of an `ok` or a pass, these."""
    found = {severity for severity, _ in _kinds(seen)}
    found |= {"warning" for _ in entry.warnings}
    worst = next((severity for severity in _SEVERITIES if severity in found), None)
    if entry.status in ("pass", "ok") and worst:
        return Word(f"with {worst}s", worst)
    return Word(entry.status)


def _warnings_of_all(entries: Sequence[BatchEntry]) -> Iterator[Text]:
    """What makes each check prove less than it seems to."""
    for entry in entries:
        for note in cleaned(other_warnings(entry), LONGEST):
            yield (Word("warning"), "  ", Name(entry.name), f": {note}")


def _verified(entries: Sequence[BatchEntry], style: Style) -> _Parts:
    """A row a check; the names are left out where each is that of its reference."""
    named = any(entry.name != entry.path for entry in entries)
    columns = (
        *((Column("check", "name"),) if named else ()),
        Column("reference", "name"),
        Column("candidates", "name"),
        Column("max\nabs diff", absent=NOT_MEASURED),
        Column("reached", meaning=REACHED, absent=NOT_MEASURED),
        Column("power", meaning=POWER, absent=NOT_MEASURED),
        Column("verdict", "word"),
    )
    found = [cleaned(entry.verification, LONGEST) for entry in entries]
    cells = []
    for place, (entry, result) in enumerate(zip(entries, found, strict=True), 1):
        link = f"#check-{place}"
        names = (Name(entry.name, link), Name(entry.path))
        part = None if result is None else coverage_share(result)
        each = [] if result is None else _of_each(entry, result)
        cells.append(
            (
                *(names if named else (Name(entry.path, link),)),
                tuple(map(Name, entry.candidates)),
                _lines(map(worst_difference, each)),
                Share(covered(part), part),
                _lines(map(_power, each)),
                _verdicts(_word(entry), each),
            )
        )
    checks = enumerate(zip(entries, found, strict=True), 1)
    sections = [_check(place, *one, style) for place, one in checks]
    return _Parts([_word(entry) for entry in entries], columns, cells, sections)


def _of_each(entry: BatchEntry, result: VerifyResult) -> list[VerifyResult]:
    """What was found for each candidate, in the order of their names."""
    found = [[one for one in result.candidates if one.model == name] for name in entry.candidates]
    return [replace(result, candidates=tuple(reports)) for reports in found if all(found)] or [
        result
    ]


def _lines(figures: Iterable[str]) -> Cell:
    """A line for each candidate; a dash if there is nothing."""
    each = tuple(figures)
    return each if {*each} - {"-"} and len(each) > 1 else "".join(each[:1]) or "-"


def _power(result: VerifyResult) -> str:
    return "-" if result.power is None else power_share(result.power)


def _verdicts(word: Word, each: Sequence[VerifyResult]) -> Cell:
    """The verdict on each candidate; that on the check alone where it is another than any."""
    words = [Word(worst([one.verdict for one in result.candidates])) for result in each]
    return tuple(words) if word in words else word


def _check(place: int, entry: BatchEntry, found: VerifyResult | None, style: Style) -> Section:
    """A check in full."""
    if found is None:
        return _reasons(place, entry)
    seen = verify.view(found, style)
    reasons = seen.reasons if len(found.candidates) == 1 else entry.reasons  # of each candidate
    title, anchor = (Name(entry.name),), f"check-{place}"
    return replace(seen, title=title, reasons=reasons, folded=True, anchor=anchor)


def _reasons(place: int, entry: BatchEntry) -> Section:
    """Why a model is neither a pass nor ok."""
    return Section(
        (Name(entry.name),),
        verdict=entry.status,
        reasons=entry.reasons,
        folded=True,
        anchor=f"check-{place}",
    )


def _inspected(entries: Sequence[BatchEntry], _style: Style) -> _Parts:
    """A row a model; with its layers and findings, unless there are too many layers."""
    found = [cleaned(entry.inspection, LONGEST) for entry in entries]
    words = [_word(*one) for one in zip(entries, found, strict=True)]
    in_full = sum(len(one.layers) for one in found if one) <= _MOST_LAYERS
    models = enumerate(zip(entries, found, words, strict=True), 1)
    each = [
        _in_full(_reasons(place, entry), one, word) if in_full and one else _reasons(place, entry)
        for place, (entry, one, word) in models
    ]
    cells = [
        (_linked(place, entry, in_full), *_figures(one), word)
        for place, (entry, one, word) in enumerate(zip(entries, found, words, strict=True), 1)
    ]
    return _Parts(words, _OF_INSPECT, cells, each, _findings_of_all(entries, found))


def _linked(place: int, entry: BatchEntry, in_full: bool = False) -> Name:
    """The name of a model, which leads to what more is said of it."""
    return Name(entry.name, f"#check-{place}" if entry.reasons or in_full else "")


def _in_full(section: Section, found: InspectSummary, word: Word) -> Section:
    named = [(None, found.findings), *((layer.name, layer.findings) for layer in found.layers)]
    lines = [
        (Word(one.severity), f" {one.code}{f' in {name}' if name else ''}: {one.message}")
        for name, findings in named
        for one in findings
    ]
    blocks = (_layers(found.layers), Lines.of(lines))
    return replace(section, verdict=word, blocks=blocks, on_pages=True)


def _layers(layers: Sequence[LayerSummary]) -> Table:
    columns = (
        Column("layer", "name"),
        *(Column(title, "text") for title in ("form", "sharing", "shape", "health")),
        *(Column(title) for title in ("slopes", *NUMBERS[1:])),
    )
    rows = tuple(
        (
            Name(layer.name),
            layer.form,
            layer.sharing,
            shape(layer.slope_shape),
            ", ".join(layer.health),
            *numbers(layer.statistics),
        )
        for layer in layers
    )
    return Table(columns, rows)


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


def _findings_of_all(
    entries: Sequence[BatchEntry], found: Sequence[InspectSummary | None]
) -> Iterator[Text]:
    """Each kind of finding with the models that have it, the worst first."""
    having: dict[tuple[str, str], list[str]] = {}
    for entry, one in zip(entries, found, strict=True):
        for kind in _kinds(one):
            having.setdefault(kind, []).append(entry.name)
    for severity, code in sorted(having, key=lambda kind: (_SEVERITIES.index(kind[0]), kind[1])):
        names = having[severity, code]
        named = [part for name in names[:_MOST_NAMED] for part in (", ", Name(name))][1:]
        rest = len(names) - _MOST_NAMED
        more = f" and {rest:,} more" if rest > 0 else ""
        yield (Word(severity), f" {code} in {counted(len(names), 'model')}: ", *named, more)


def _kinds(found: InspectSummary | None) -> dict[tuple[str, str], None]:
    """The severity and code of each finding, once."""
    findings = () if found is None else found.all_findings
    return dict.fromkeys((f.severity, f.code) for f in findings if f.severity in _SEVERITIES)


def _figures(found: InspectSummary | None) -> tuple[Cell, ...]:
    if found is None:
        return ("-",) * (len(_OF_INSPECT) - 2)
    counts = Counter(severity for severity, _ in _kinds(found))
    findings = ", ".join(counted(counts[one], one) for one in _SEVERITIES if counts[one]) or "-"
    layers = f"{len(found.layers):,}"
    if found.statistics is None:
        return (layers, "0", "-", "-", "-", "-", findings)
    count, mean, _, least, most, negative, _ = numbers(found.statistics)
    return (layers, count, mean, least, most, negative, findings)


def _exported(entries: Sequence[BatchEntry], _style: Style) -> _Parts:
    """A row a model."""
    words = [_word(entry) for entry in entries]
    cells = [
        (_linked(place, entry), *_written(entry), word)
        for place, (entry, word) in enumerate(zip(entries, words, strict=True), 1)
    ]
    each = [_reasons(place, entry) for place, entry in enumerate(entries, 1)]
    return _Parts(words, _OF_EXPORT, cells, each)


def _written(entry: BatchEntry) -> tuple[Cell, ...]:
    document = cleaned(entry.document, LONGEST)
    if document is None:
        return ("-",) * (len(_OF_EXPORT) - 2)
    model, checked = document["model"], document["verification"]
    return (
        Name(model["path"]),
        f"{model['bytes'] + model['data_bytes']:,}",
        f"{len(document['layers']):,}",
        worst_difference(from_document(VerifyResult, checked)) if checked else "not verified",
    )


_PARTS = {"inspect": _inspected, "verify": _verified, "export": _exported}
