"""The report of `verify`: outputs, layers, other facts, and why it is not a pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from prelu_tools.core.results.reasons import SPECIAL_VALUE_DIFFERS, code_of
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.rounding.tolerance import FACTOR
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
)
from prelu_tools.reports.headline import first_of
from prelu_tools.reports.sentences import (
    CONSTANT,
    END_TO_END,
    ISOLATED,
    LIMIT_AT_ZERO,
    MIN_HITS,
    NO_SNR,
    NO_TOP1,
    NOT_MEASURED,
    OTHER_SHAPE,
    POWER,
    REACHED,
    SNR,
    TOP1,
    WRONG,
    X_FLOAT32,
    X_ROUNDING,
    agreement_line,
    baseline_lines,
    decibels,
    difference_of,
    interface_lines,
    n_wrong,
    of_rounding,
    other_warnings,
    own_reasons,
    plain_notes,
    power_details,
    power_lines,
    power_share,
    proven,
    reached,
    rounding_lines,
    sizes_tried,
    slope_word,
    tapped,
    tolerances,
    unreached,
    warning_lines,
    where,
)
from prelu_tools.reports.special_values import special_lines
from prelu_tools.reports.words import counted, covered, moved, percentage, shape

_SIDE_BY_SIDE = 3  # candidates that have room next to each other


def view(result: VerifyResult, style: Style) -> Section:
    """The document of one verification."""
    reports = result.candidates
    titles = tuple(_candidate_title(report) for report in reports)
    own = own_reasons(result)
    if len(reports) == 1:
        (report,) = reports
        title: tuple[str, ...] = (Name(report.model), " compared with ", Name(result.reference))
        subjects = Facts((("reference", (Name(result.reference),)), ("candidate", titles[0])))
        found = tuple(_of_candidate(report, result.n_runs))
        reasons: tuple[Text, ...] = (*_reasons(report), *own)
        details = tuple(_candidate_details(report))
    else:
        title = (f"{counted(len(reports), 'candidate')} compared with ", Name(result.reference))
        marked = [(f"[{number}]", text) for number, text in enumerate(titles, 1)]
        subjects = Facts((("reference", (Name(result.reference),)), *marked))
        found = tuple(_of_candidates(reports, titles, result.n_runs))
        reasons, details = own, ()
    details += tuple(_run_details(result))
    folded = Section("Details", (Lines(details),), folded=True)
    blocks = (subjects, *found, Lines.of(_notes(result)), folded)
    warnings = warning_lines(other_warnings(result))
    return Section(title, blocks, result.verdict, reached(result), reasons, warnings)


def _candidate_title(report: CandidateReport) -> tuple[str, ...]:
    place = where(report)
    return (Name(report.model), f" on {place}") if place else (Name(report.model),)


def _reasons(report: CandidateReport) -> tuple[str, ...]:
    """Why a candidate is not a pass; special values of one kind in one sentence."""
    said = (one for one in report.reasons if code_of(one) != SPECIAL_VALUE_DIFFERS)
    return (*said, *special_lines(report.special, documented=False))


def _of_candidate(report: CandidateReport, n_runs: int) -> Iterator[Block]:
    if report.outputs:
        yield _outputs([("", report)], n_runs)
    if report.layers:
        yield _layers(report)
    yield Lines.of((*interface_lines(report), *proven(report), *_power(report)))


def _power(report: CandidateReport) -> Sequence[str]:
    return () if report.power is None else tuple(power_lines(report.power))


def _candidate_details(report: CandidateReport) -> Iterator[str]:
    yield from rounding_lines(report)
    yield from () if report.power is None else power_details(report.power)
    yield from special_lines(report.special, documented=True)


def _of_candidates(
    reports: Sequence[CandidateReport], titles: Sequence[tuple[str, ...]], n_runs: int
) -> Iterator[Block]:
    """A line for each, their layers side by side, and each in full."""
    marks = [f"[{number}]" for number in range(1, len(reports) + 1)]
    yield _summary(marks, reports)
    marked = list(zip(marks, reports, strict=True))
    if any(report.outputs for report in reports):
        yield _outputs(marked, n_runs)
    for start in range(0, len(marked), _SIDE_BY_SIDE):
        part = marked[start : start + _SIDE_BY_SIDE]
        if any(report.layers for _, report in part):
            yield _layers_side_by_side(part)
    for mark, title, report in zip(marks, titles, reports, strict=True):
        tables = (_layers(report),) if report.layers else ()
        lines = (*interface_lines(report), *proven(report), *_power(report))
        details = Lines.of((*lines, *_candidate_details(report)))
        yield Section(
            (f"{mark} ", *title),
            (*tables, details),
            report.verdict,
            reasons=_reasons(report),
            folded=True,
        )


def _summary(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    columns = (
        Column("candidate", "text"),
        Column("slopes equal"),
        Column("power", meaning=POWER, absent=NOT_MEASURED),
        Column("verdict", "word"),
        Column("reason", "text", brief=False),  # a terminal gives them all at the end
    )
    rows = [
        (
            mark,
            f"{sum(layer.n_by_value for layer in report.layers):,} of "
            f"{sum(layer.n_slopes for layer in report.layers):,}",
            "-" if report.power is None else power_share(report.power),
            Word(report.verdict),
            first_of(_reasons(report)),
        )
        for mark, report in zip(marks, reports, strict=True)
    ]
    return Table(columns, tuple(rows)).without()


def _outputs(marked: Sequence[tuple[str, CandidateReport]], n_runs: int) -> Table:
    """A row for each output; columns without content are left out."""
    several = len(marked) > 1
    outputs = [(mark, output) for mark, report in marked for output in report.outputs]
    own = [output.worst_of_rounding is not None for _, output in outputs]
    in_doubt = any(output.proves != output.verdict for _, output in outputs)
    columns = (
        *((Column("candidate", "text"),) if several else ()),
        Column("output", "name"),
        Column("shape", "text", meaning=f"in the first of {n_runs:,} runs" if n_runs > 1 else ""),
        Column("max abs diff", absent=OTHER_SHAPE),
        Column(
            "x rounding",
            meaning=X_ROUNDING if any(own) else X_FLOAT32,
            absent="not known",
        ),
        Column(
            "limit",
            brief=any(output.of_rounding is None for _, output in outputs),
            meaning=LIMIT_AT_ZERO,
            absent="each value has its own",
        ),
        Column("max rel diff", brief=False),
        Column("SNR", meaning=SNR, absent=NO_SNR),
        Column("top-1", meaning=TOP1, absent=NO_TOP1),
        Column("wrong", meaning=WRONG),
        Column("verdict", "word", meaning=CONSTANT if in_doubt else ""),
    )
    quantized = any(report.tolerance.origin == "quantized" for _, report in marked)
    rows = (
        ((mark,) if several else ()) + _output_row(output, quantized) for mark, output in outputs
    )
    return Table(columns, tuple(rows)).without()


def _output_row(output: OutputParity, quantized: bool) -> tuple[Cell, ...]:
    top1, own = output.top1_agreement, output.worst_of_rounding
    limit = output.limit if own is None else None  # else each value has its own
    return (
        Name(output.name),
        shape(output.shape),
        Share(difference_of(output), _of(output.max_abs_diff, limit, output.verdict)),
        Share(of_rounding(output), _of(own, FACTOR, output.verdict)),
        "-" if limit is None else f"{limit:.1e}",
        f"{output.max_rel_diff:.2e}",
        decibels(output.deviation) if quantized else "-",
        "-" if top1 is None else percentage(top1),
        f"{n_wrong(output):,}",
        Word(output.verdict if output.proves == output.verdict else "constant", output.proves),
    )


def _of(error: float | None, limit: float | None, verdict: Verdict) -> float | None:
    """An error as a share of its limit; None where that is not what the verdict comes from.

    The limit of a value of 0 is exceeded by larger values that may differ by more.
    """
    share = error / limit if error is not None and limit else math.nan
    return None if math.isnan(share) or (share > 1 and verdict != "fail") else share


def _layers(report: CandidateReport) -> Table:
    """A row a layer; nodes are named where they are not called like the layers."""
    layers, quantized = report.layers, report.tolerance.origin == "quantized"
    renamed = [x for x in layers if x.node not in (None, x.name)]
    has_node = any(x.verdict != "pass" for x in renamed)  # a terminal shows those of failures
    columns = (
        Column("layer", "name"),
        Column("slopes", "word"),
        Column("isolated", meaning=ISOLATED, absent=NOT_MEASURED),
        Column("end-to-end", meaning=END_TO_END, absent=NOT_MEASURED),
        *((Column("SNR", meaning=SNR, absent=NOT_MEASURED),) if quantized else ()),
        Column("reached", meaning=REACHED, absent=NOT_MEASURED),
        Column("min hits", meaning=MIN_HITS, absent=NOT_MEASURED),
        *((Column("node", "name", brief=has_node, absent="not found"),) if renamed else ()),
        Column("verdict", "word"),
    )
    rows = [
        (
            Name(layer.name),
            _slopes(layer),
            tapped(layer),
            moved(layer.max_abs_diff),
            *((decibels(layer.deviation),) if quantized else ()),
            Share(covered(layer.coverage), layer.coverage),
            "-" if layer.least_positions is None else f"{layer.least_positions:,}",
            *(("-" if layer.node is None else Name(layer.node),) if renamed else ()),
            Word(layer.verdict),
        )
        for layer in layers
    ]
    return Table(columns, tuple(rows))


def _layers_side_by_side(marked: Sequence[tuple[str, CandidateReport]]) -> Table:
    """A row a layer; a column a candidate: its slopes, and the layer in isolation."""
    columns = (
        Column("layer", "name"),
        Column("reached", meaning=REACHED, absent=NOT_MEASURED),
        *(
            Column(
                mark,
                "word",
                meaning=f"slopes / isolated {ISOLATED}",
                absent="it has no such layer",
            )
            for mark, _ in marked
        ),
    )
    by_name = [{layer.name: layer for layer in report.layers} for _, report in marked]
    rows = []
    for name in dict.fromkeys(name for layers in by_name for name in layers):
        found = [layers.get(name) for layers in by_name]
        share = next((x.coverage for x in found if x and x.coverage is not None), None)
        rows.append((Name(name), Share(covered(share), share), *map(_in_short, found)))
    return Table(columns, tuple(rows))


def _slopes(layer: LayerParity) -> Word:
    if layer.slopes_equal:
        step = layer.slope_step
        return Word("equal" if step is None else f"within {step:.2g}", "pass")
    word = slope_word(layer)
    return Word(word, "fail" if word == "differ" else layer.verdict)


def _in_short(layer: LayerParity | None) -> Word | str:
    """The slopes / the layer in isolation; `fail` where the slopes are equal and it still fails."""
    if layer is None:
        return "-"
    word = _slopes(layer)
    if layer.slopes_equal and layer.verdict != "pass":
        is_known = layer.verdict != "inconclusive"
        word = Word("fail", "fail") if is_known else Word("unknown", "inconclusive")
    return word if layer.max_ulp_diff is None else Word(f"{word} / {tapped(layer)}", word.status)


def _notes(result: VerifyResult) -> Iterator[Text]:
    yield from unreached(result)
    for agreement in result.agreements:  # what differs is a reason already
        if not any(output.difference for output in agreement.outputs):
            line = agreement_line(agreement)
            yield line if agreement.verdict == "pass" else (Word(line, agreement.verdict),)
    yield from baseline_lines(result)
    yield from sizes_tried(result)
    yield from plain_notes(note for note in result.notes if note not in result.reasons)


def _run_details(result: VerifyResult) -> Iterator[str]:
    yield from tolerances(result)
    if result.versions:
        yield ", ".join(f"{name} {version}" for name, version in result.versions.items())
