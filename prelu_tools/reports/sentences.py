"""Sentences that are the same in every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.reasons import RECORD_NOT_CHECKED, WARNINGS, code_of
from prelu_tools.core.results.verification.candidate import CandidateReport, Power, Tolerance
from prelu_tools.core.results.verification.parity import (
    Deviation,
    LayerParity,
    OutputParity,
)
from prelu_tools.core.results.verification.result import Agreement, Coverage, VerifyResult
from prelu_tools.core.rounding.figures import times, ulps
from prelu_tools.core.rounding.tolerance import FACTOR
from prelu_tools.reports.document import Text, Word
from prelu_tools.reports.words import counted, listed, tally

ISOLATED = (
    "error of the layer alone, compared with PReLU with the reference's slopes on the same input"
)
END_TO_END = "largest absolute difference of the layer's output when the whole models run"
REACHED = "share of slopes that met a negative value"
MIN_HITS = "negative values that the least reached slope met"
POWER = "share of slope faults, planted in a copy of the candidate, that the checks caught"
X_ROUNDING = (
    "the largest error as a multiple of the value's rounding error, which is measured on the "
    f"reference in the candidate's precision (limit {FACTOR:g}x)"
)
X_FLOAT32 = "max abs diff as a multiple of the reference's own float32 rounding error"
WRONG = "values of all runs that are beyond their limit"
LIMIT_AT_ZERO = "the absolute tolerance, to which the relative one adds a share of each value"
TOP1 = "samples whose largest value is at the same index in both models"
CONSTANT = "constant if all inputs gave the same value, which proves nothing"
SNR = "signal-to-noise ratio compared with the reference"
"""What columns of these titles hold, in every table."""
NOT_MEASURED = "not measured"
OTHER_SHAPE = "not compared, because the shapes differ"
NO_SNR = "no noise, or not measured"
NO_TOP1 = "the output holds no probabilities"
"""What a dash means in them."""
_MOST_DIFFERENCES = 10  # of interfaces
_FOUND = {
    "rounded": "rounded",
    "values": "by values",
    "nowhere": "not found",
    "additional": "additional",
}


def reached(result: VerifyResult) -> str:
    """The samples, and how many slopes they reached."""
    if not result.samples and not result.n_searched:
        return "nothing was run"
    quick = "quick check without searching for inputs or planting faults:"
    how = quick if result.quick else "tested with"
    text = f"{how} {counted(result.samples, 'sample')}"
    if result.n_searched:
        text += f" and {result.n_searched:,} found by a search"
    text += f", seed {result.seed}"
    if result.coverage is not None and result.coverage.total:
        text += f"; {reached_of(result.coverage)}"
    return text


def reached_of(coverage: Coverage) -> str:
    """How many of all slopes met a negative value."""
    return f"{coverage.exercised:,} of {coverage.total:,} slopes reached by a negative value"


def headline(result: BatchResult) -> str:
    """How many models of which list, and how many of each status."""
    return headline_of(result, result.summary)


def headline_of(result: BatchResult, counts: Mapping[Any, int]) -> str:
    """The same, with the numbers of each status given."""
    number = counted(len(result.entries), "check" if result.command == "verify" else "model")
    path = f"{result.path}: " if result.path else ""
    return f"{path}{number}, {tally(counts) or 'nothing was checked'}"


def own_reasons(result: VerifyResult) -> tuple[str, ...]:
    """Why the whole is not a pass, in addition to the reasons of its candidates."""
    said = {
        text
        for report in result.candidates
        for reason in report.reasons
        for text in (reason, f"{report.model}: {reason}")
    }
    return tuple(reason for reason in result.reasons if reason not in said)


def plain_notes(notes: Iterable[str], start: str = "note: ") -> Iterator[str]:
    """The notes that are no warnings."""
    return (f"{start}{note}" for note in notes if code_of(note) not in WARNINGS)


def other_warnings(result: VerifyResult | BatchEntry) -> tuple[str, ...]:
    """The warnings that no reason says: with `--strict-warnings`, all of them are reasons."""
    return tuple(
        one for one in result.warnings if not any(why.startswith(one) for why in result.reasons)
    )


def unknown_records(result: BatchResult) -> Iterator[str]:
    """At most one sentence: the checks whose records could not be compared with their models."""
    documents = {entry.name: entry.document or {} for entry in result.entries}
    names = [
        k for k, found in documents.items() if RECORD_NOT_CHECKED in found.get("note_codes", ())
    ]
    if names:
        s, verb = ("", "is") if len(names) == 1 else ("s", "are")
        yield (
            f"note: {listed(names)}: the model{s} {verb} not here, so whether the record{s} {verb} "
            "up to date was not checked"
        )


def interfaces(result: BatchResult) -> Iterator[str]:
    """How candidates differ from their references in names, types, sizes and axes; not all."""
    read = ((entry.name, entry.verification) for entry in result.entries)
    lines = (
        f"interface: {name}: {words}"
        for name, seen in read
        for report in (() if seen is None else seen.candidates)
        for words in _interface(report)
    )
    found = list(dict.fromkeys(lines))
    yield from found[:_MOST_DIFFERENCES]
    if found[_MOST_DIFFERENCES:]:
        yield f"interface: and {len(found) - _MOST_DIFFERENCES:,} more differences: see the JSON"


def warning_lines(warnings: Iterable[str]) -> tuple[Text, ...]:
    """Those that are, as a document shows them."""
    return tuple((Word("warning"), f"  {one}") for one in warnings)


def sizes_tried(result: VerifyResult) -> tuple[str, ...]:
    """At most one sentence: the sizes of dynamic axes that the models were run at."""
    if not result.sizes.tried:
        return ()
    said = [" ".join(f"{k}={v}" for k, v in sizes.items()) for sizes in result.sizes.tried]
    return (f"sizes tried: {listed(said)}",)


def unreached(result: VerifyResult) -> tuple[str, ...]:
    """At most one sentence: the slopes whose negative branch was never used."""
    coverage = result.coverage
    # Where none is reached, a note says so.
    names = coverage.unreached if coverage and coverage.exercised else ()
    return (f"not reached: {listed(names)}",) if names else ()


def baseline_lines(result: VerifyResult) -> tuple[str, ...]:
    """At most one sentence: the comparison with an earlier run, if that was requested."""
    report = result.baseline
    if report is None:
        return ()
    if not report.n_compared:
        return (f"baseline {report.path}: no figure was compared",)
    figures = counted(report.n_compared, "figure")
    return (
        f"baseline {report.path}: {len(report.worse):,} of {figures} worse by more than a factor "
        f"of {report.factor:g}",
    )


def tolerances(result: VerifyResult) -> tuple[str, ...]:
    """What the outputs were held to, each tolerance once."""
    held = [report.tolerance for report in result.candidates if report.outputs]
    return tuple(f"tolerance: {_tolerance(one)}" for one in dict.fromkeys(held))


def _tolerance(tolerance: Tolerance) -> str:
    if tolerance.origin == "sensitivity":
        return f"{tolerance.multiple:g} times the model's own rounding error, for each value"
    if tolerance.origin == "quantized":
        return "the effect of rounding to the candidate's integer codes"
    if tolerance.multiple is not None:
        text = f"{tolerance.multiple:g} times the reference's own float32 rounding"
        if tolerance.ulps:
            text += f", plus {tolerance.ulps:g} ulp of the largest value"
    else:
        scale = " of the largest value" if tolerance.scaled else ""
        text = f"{tolerance.rtol:g} of each value plus {tolerance.atol:g}{scale}"
    return f"{text} ({tolerance.origin})"


def where(report: CandidateReport) -> str:
    """What ran a candidate: the execution providers, or the requested one; or nothing."""
    if report.provider is None:
        return ""
    return ", ".join(report.provider.actual) or report.provider.requested


def rounding_lines(report: CandidateReport) -> Iterator[str]:
    """Which values differ because they sit on a border."""
    yield from (f"output {o.name!r}: {o.remark}" for o in report.outputs if o.remark)


def proven(report: CandidateReport) -> tuple[str, ...]:
    """At most one sentence: how many slopes are proven, and how."""
    total = sum(layer.n_slopes for layer in report.layers)
    if not total:
        return ()
    by_value = sum(layer.n_by_value for layer in report.layers)
    by_behaviour = sum(layer.n_by_behaviour for layer in report.layers)
    which = "all" if by_behaviour == by_value else f"{by_behaviour:,}"
    if 0 < by_behaviour < by_value:
        which += " of these"
    ran = f", {which} confirmed by correct results" if by_behaviour else ""
    failed = [x for x in report.layers if x.verdict == "fail" and not x.n_by_behaviour]
    n_failed = sum(layer.n_by_value for layer in failed)
    if ran and n_failed:
        is_in = "is in a layer that differs" if n_failed == 1 else "are in layers that differ"
        ran += f" ({n_failed:,} {is_in})"
    return (f"slopes: {by_value:,} of {total:,} {equality(report)}{ran}",)


def equality(report: CandidateReport) -> str:
    """How slopes are equal: in the candidate's type, where that is another than the reference's."""
    if any(layer.slope_step for layer in report.layers):
        return "equal within their quantization step"
    kinds = (one.found for one in report.interface if one.code == "input_type")
    narrow = next((kind for kind in kinds if kind in ("float16", "bfloat16")), None)
    return f"equal bit for bit{f' after rounding to {narrow}' if narrow else ''}"


def interface_lines(report: CandidateReport) -> tuple[str, ...]:
    """Differences in names, types, sizes and axes that no reason of the verdict states already."""
    return tuple(f"interface: {words}" for words in _interface(report))


def _interface(report: CandidateReport) -> Iterator[str]:
    yield from (one.words for one in report.interface if one.words not in report.reasons)


def slope_word(layer: LayerParity) -> str:
    """What became of a layer's slopes, in a word or two."""
    if layer.slopes_equal:
        return "equal"
    if layer.verdict == "fail":
        return "differ"
    return _FOUND.get(layer.found, "unknown" if layer.verdict == "inconclusive" else "differ")


def tapped(layer: LayerParity) -> str:
    """The isolated error of a layer: `3 ulp`; a dash if it was not measured."""
    return "-" if layer.max_ulp_diff is None else ulps(layer.max_ulp_diff)


def decibels(deviation: Deviation | None) -> str:
    """A signal-to-noise ratio: `27.3 dB`; a dash if it is not known or there is no noise."""
    snr = None if deviation is None else deviation.snr_db
    return "-" if snr is None else f"{snr:.1f} dB"


def worst_difference(result: VerifyResult) -> str:
    """The largest difference of all outputs; a dash if none could be compared.

    NaN is worse than any number: of such an output no value could be compared.
    """
    outputs = [output for report in result.candidates for output in report.outputs]
    found = [output.max_abs_diff for output in outputs if _fits(output)]
    worst = next(filter(math.isnan, found), max(found, default=None))
    return "-" if worst is None else f"{worst:.2e}"


def difference_of(output: OutputParity) -> str:
    """The largest difference of an output; a dash if its shape is not the reference's."""
    return f"{output.max_abs_diff:.2e}" if _fits(output) else "-"


def _fits(output: OutputParity) -> bool:
    return output.n_values > 0 or not math.isnan(output.max_abs_diff)


def coverage_share(result: VerifyResult) -> float | None:
    """The share of all slopes that a negative value reached; None if it is not known."""
    coverage = result.coverage
    return coverage.exercised / coverage.total if coverage and coverage.total else None


def n_wrong(output: OutputParity) -> int:
    """The elements of an output that are not as they should be."""
    return output.n_mismatched + output.n_nonfinite_mismatch


def of_rounding(output: OutputParity) -> str:
    """The difference as a multiple of the reference's own rounding: `1.1x`; a dash for unknown."""
    if output.worst_of_rounding is not None:
        return times(output.worst_of_rounding)
    return times(output.of_rounding)


def power_share(power: Power) -> str:
    """The share of the planted faults that were caught; 1.00 only where all were."""
    if not power.planted:
        return "-"
    return f"{math.floor(100 * power.detected / power.planted) / 100:.2f}"


def power_lines(power: Power) -> Iterator[str]:
    """How many of the planted slope faults were caught, and which were not."""
    if power.planted:
        sample = ", a sample of the possible faults" if power.sampled else ""
        yield (
            f"power {power_share(power)}: the checks caught {power.detected:,} of "
            f"{counted(power.planted, 'slope fault')} planted in a copy of the candidate "
            f"(layers showed {power.by_layers:,} of them, outputs {power.by_outputs:,}){sample}"
        )
    else:
        yield "power unknown: the inputs reach no slope, so no fault could be planted"
    if power.escaped:
        yield f"escaped: {listed(power.escaped)}"


def power_details(power: Power) -> Iterator[str]:
    """The planted faults that are not counted, because nothing could have seen them."""
    if power.hidden:
        faults = counted(power.hidden, "more planted fault")
        yield f"{faults} would not change any layer by more than rounding does on these inputs"
    if power.unreached:
        their = "its slope" if power.unreached == 1 else "their slopes"
        faults = counted(power.unreached, "more planted fault")
        yield f"{faults} cannot be seen: no input reaches {their}"


def agreement_line(agreement: Agreement) -> str:
    """Whether two providers give the same on one candidate."""
    first, second = agreement.providers
    if agreement.verdict == "pass":
        worst = max((output.max_abs_diff for output in agreement.outputs), default=0.0)
        return f"{agreement.model}: {first} and {second} agree within {worst:.1e}"
    if agreement.verdict == "fail":
        wrong = [output for output in agreement.outputs if output.verdict == "fail"]
        return f"{agreement.model}: {first} and {second} differ{_in_outputs(wrong)}"
    return f"{agreement.model}: {first} and {second} cannot be compared"


def _in_outputs(outputs: Sequence[OutputParity]) -> str:
    said = [
        f"{output.name} ({output.difference or f'by up to {output.max_abs_diff:.1e}'})"
        for output in outputs
    ]
    return f" in {listed(said)}" if said else ""
