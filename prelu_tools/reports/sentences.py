"""Sentences that are the same in every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.reasons import WARNINGS, code_of
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

ISOLATED = "error of the layer alone, on its own input"
END_TO_END = "largest absolute difference in the layer's output when both models run as a whole"
REACHED = "share of slopes that met a negative value"
MIN_HITS = "how many negative values the least reached slope met"
POWER = "share of slope faults, planted in a copy of the candidate, that the checks caught"
X_ROUNDING = "the largest error as a multiple of the model's own rounding error"
X_ROUNDING_LIMIT = f"{X_ROUNDING} (limit {FACTOR:g}x)"
WRONG = "values of all runs that are beyond their limit"
LIMIT_AT_ZERO = "the largest permitted difference of a value of 0"
TOP1 = "samples whose largest value is at the same index in both models"
SNR = "signal-to-noise ratio compared with the reference"
"""What columns of these titles hold, in every table."""
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
    how = "quick check without a search or planted faults:" if result.quick else "tested with"
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
    """How far the worst value is off, and which ones differ because they sit on a border."""
    known = [output for output in report.outputs if output.worst_of_rounding is not None]
    worst = max(known, key=lambda output: output.worst_of_rounding or 0.0, default=None)
    if worst is not None:
        yield (
            f"largest error: {times(worst.worst_of_rounding)} the model's own rounding error, "
            f"among the {sum(output.n_values for output in known):,} values of all runs"
        )
    yield from (f"output {o.name!r}: {o.remark}" for o in report.outputs if o.remark)


def proven(report: CandidateReport) -> tuple[str, ...]:
    """At most one sentence: how many slopes are proven, and how."""
    total = sum(layer.n_slopes for layer in report.layers)
    if not total:
        return ()
    by_value = sum(layer.n_by_value for layer in report.layers)
    by_behaviour = sum(layer.n_by_behaviour for layer in report.layers)
    coarse = any(layer.slope_step for layer in report.layers)
    how = "equal within their quantization step" if coarse else "equal bit for bit"
    of = "of these also " if by_behaviour <= by_value else ""
    ran = f", {by_behaviour:,} {of}reached, with correct results" if by_behaviour else ""
    failed = [layer for layer in report.layers if layer.verdict == "fail"]
    n_failed = sum(layer.n_slopes for layer in failed if not layer.n_by_behaviour)
    if ran and n_failed:
        where = "is in a layer that differs" if n_failed == 1 else "are in layers that differ"
        ran += f" ({counted(n_failed, 'slope')} {where})"
    return (f"slopes: {by_value:,} of {total:,} {how}{ran}",)


def interface_lines(report: CandidateReport) -> tuple[str, ...]:
    """Differences in names, types and sizes that no reason of the verdict states already."""
    return tuple(
        f"interface: {one.words}" for one in report.interface if one.words not in report.reasons
    )


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


def worst_difference(result: VerifyResult) -> float | None:
    """The largest difference of all outputs; NaN if one has no finite value, None without any.

    NaN is worse than any number: of such an output nothing could be compared.
    """
    found = [output.max_abs_diff for report in result.candidates for output in report.outputs]
    return next(filter(math.isnan, found), max(found, default=None))


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
            f"({power.by_layers:,} at layers, {power.by_outputs:,} at outputs){sample}"
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
