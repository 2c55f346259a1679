"""Requirements of a check beyond parity: coverage, power, known sizes, no warning."""

from __future__ import annotations

from collections.abc import Sequence

from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.searching import OUT_OF_TIME
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.options import InputOption
from prelu_tools.core.results.reasons import Reason, code_of, counted, warnings_of
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import Coverage


def coverage_gate(
    coverage: Coverage | None, request: VerifyRequest, late: str | None = None
) -> tuple[Verdict, str] | None:
    """Whether enough slopes were reached: None, or a verdict and why.

    Args:
        coverage: how many were reached, if that was counted.
        request: the options.
        late: how to give the search for inputs more time, if it ran out of it.
    """
    if request.min_coverage is None:
        return None
    if coverage is None:
        return "inconclusive", "--min-coverage cannot be checked with --no-layers"
    if coverage.total == 0:
        # Where no PReLU is wanted, its absence is a reason already.
        words = "there is no slope, and --min-coverage (in a list: min_coverage) requires one"
        return ("inconclusive", words) if request.allow_no_prelu else None
    if coverage.exercised >= request.min_coverage * coverage.total:
        return None
    return _missed(
        f"the inputs reached {coverage.exercised} of {coverage.total} slopes; "
        f"--min-coverage {request.min_coverage:g} requires more",
        late,
    )


def _missed(words: str, late: str | None) -> tuple[Verdict, str]:
    """A failure; no verdict where the search ran out of time, and might have found more inputs."""
    if late is None:
        return "fail", words
    return "inconclusive", Reason(f"{words}, but the search ran out of time: {late}", OUT_OF_TIME)


def hits_gate(
    report: CandidateReport, request: VerifyRequest, late: str | None = None
) -> tuple[Verdict, str] | None:
    """Whether each slope met enough negative values: None, or a verdict and why.

    Args:
        report: that of a candidate.
        request: the options.
        late: see `coverage_gate`.
    """
    if request.min_hits is None:
        return None
    known = [layer for layer in report.layers if layer.least_positions is not None]
    least = min(known, key=lambda layer: layer.least_positions or 0, default=None)
    if least is None:
        return "inconclusive", f"{report.model}: no layer was seen, and --min-hits requires one"
    if (least.least_positions or 0) >= request.min_hits:
        return None
    return _missed(
        f"{report.model}: {least.name}: a slope met "
        f"{counted(least.least_positions or 0, 'negative value')}; "
        f"--min-hits {request.min_hits} requires more",
        late,
    )


def power_gate(report: CandidateReport, request: VerifyRequest) -> tuple[Verdict, str] | None:
    """Whether enough planted faults were caught: None, or a verdict and why."""
    power = report.power
    wanted = 1.0 if request.min_power is None else request.min_power
    if power is None:
        if request.min_power is None:
            return None
        return "inconclusive", f"{report.model}: power is unknown, and --min-power requires it"
    if power.planted == 0 and power.hidden:
        return "inconclusive", Reason(
            f"{report.model}: on these inputs no wrong slope would change a layer by more than "
            f"rounding does ({power.hidden} were tried): use other inputs (--inputs or "
            "--input-range)",
            "slopes_not_shown",
        )
    if power.planted == 0 and request.min_power is not None:
        words = f"{report.model}: no fault could be planted in slopes that the inputs reach"
        return "inconclusive", f"{words}, and --min-power requires some"
    if power.detected >= wanted * power.planted:
        return None
    return "fail", (
        f"{report.model}: {power.detected} of {power.planted} planted slope faults were caught; "
        f"--min-power {wanted:g} requires more ({'; '.join(power.escaped[:3])})"
    )


def sizes_gate(reference: Reference, request: VerifyRequest) -> tuple[Verdict, str] | None:
    """Whether the reference's sizes can be compared: None, or a verdict and why not.

    Args:
        reference: what is compared with; its notes say if its sizes are the candidate's.
        request: the options.
    """
    taken = {"sizes_taken", "sizes_disagree"} & set(map(code_of, reference.notes))
    if not request.strict_interface or not taken:
        return None
    inputs = [InputOption(spec.name, spec.shape) for spec in reference.source.inputs()]
    stated = " ".join(f"--input {one.text}" for one in inputs)
    return "inconclusive", Reason(
        "--strict-interface cannot compare the sizes of the inputs, because the reference does not "
        f"state them: state them with {stated}",
        "sizes_not_stated",
    )


def warnings_gate(notes: Sequence[str], request: VerifyRequest) -> list[tuple[Verdict, str]]:
    """A failure for each note that is a warning, with its sentence, if none is allowed."""
    found = warnings_of(notes) if request.strict_warnings else ()
    why = [f"{found[0]} (--strict-warnings makes warnings fail)", *found[1:]] if found else []
    return [("fail", Reason(text, "has_warnings")) for text in why]
