"""The result of a verification, once every candidate is judged."""

from __future__ import annotations

from collections.abc import Sequence

from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.candidates.outputs import OutputJudge, differences, pair_outputs
from prelu_tools.commands.verify.gates import (
    coverage_gate,
    hits_gate,
    power_gate,
    sizes_gate,
    warnings_gate,
)
from prelu_tools.commands.verify.inputs.branch_search import BRANCH_FOUND
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.searching import OUT_OF_TIME, more_seconds
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import OTHER_VERSION, RECORD_IS_STALE, as_reason, code_of
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import Agreement, Coverage, VerifyResult
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.parity import worst
from prelu_tools.core.rounding.tolerance import QUANTIZED


def agreements_of(
    reference: Reference, judged: Sequence[Judged], request: VerifyRequest
) -> tuple[Agreement, ...]:
    """Each further provider of a candidate against its first one."""
    found = []
    for model in dict.fromkeys(item.report.model for item in judged):
        runs = [
            (item.report.provider.requested, item.results)
            for item in judged
            if item.report.model == model
            and item.results
            and item.report.provider is not None
            # in integer codes each is compared with what the file means, by its own rounding
            and item.report.tolerance != QUANTIZED
        ]
        for provider, results in runs[1:]:
            first, base = runs[0]
            if provider == first:
                continue
            names = pair_outputs(reference.outputs[0], base[0])
            extents = {theirs: reference.extents[mine] for mine, theirs in names}
            perturbed = reference.perturbed_to(SINGLE)
            spreads = [
                {theirs: run[mine] for mine, theirs in names}
                for run in (perturbed.outputs if perturbed is not None else ())
            ]
            outputs = OutputJudge(
                base, extents, Layouts(), (), request.tolerance, spreads or None
            ).compare(results)
            verdict = worst([output.verdict for output in outputs])
            found.append(Agreement(model, (first, provider), outputs, verdict))
    return tuple(found)


def conclude(
    reference: Reference,
    judged: Sequence[Judged],
    agreements: tuple[Agreement, ...],
    request: VerifyRequest,
) -> VerifyResult:
    """The result: the worst verdict of all parts, and why it is not a pass."""
    book = reference.coverage
    coverage = Coverage(book.exercised, book.total, book.unreached()) if request.layers else None
    reports = tuple(item.report for item in judged)
    verdicts: list[Verdict] = [report.verdict for report in reports]
    verdicts += [agreement.verdict for agreement in agreements]
    reasons: list[str] = [
        as_reason(reason).within(report.model) for report in reports for reason in report.reasons
    ]
    for agreement in agreements:
        where = f"{agreement.model}, {' against '.join(agreement.providers)}"
        reasons += [as_reason(text).within(where) for text in differences(agreement.outputs)]
    late = _more_time(reference, request)
    of_reports = [
        *(hits_gate(report, request, late) for report in reports),
        *(power_gate(report, request) for report in reports),
    ]
    notes = tuple(dict.fromkeys([*reference.notes, *(n for item in judged for n in item.notes)]))
    gates = [coverage_gate(coverage, request, late), sizes_gate(reference, request)]
    for verdict, reason in filter(None, [*gates, *of_reports]):
        verdicts.append(verdict)
        reasons.append(reason)
    if "fail" in verdicts:  # a frozen decision explains it
        reasons += [note for note in reference.notes if code_of(note) == BRANCH_FOUND]
        outdated = [note for note in notes if _is_cause(note, reports)]
        reasons += outdated
        notes = tuple(note for note in notes if note not in outdated)  # said once
    for verdict, reason in warnings_gate(notes, request):
        verdicts.append(verdict)
        reasons.append(reason)
    for doubt in reference.doubts:
        verdicts.append("inconclusive")
        reasons.append(doubt)
    if OUT_OF_TIME in map(code_of, reasons):  # said once
        notes = tuple(note for note in notes if code_of(note) != OUT_OF_TIME)
    return VerifyResult(
        verdict=worst(verdicts),
        reference=request.reference,
        reference_precision=reference.precision,
        versions=installed_versions(),
        seed=request.seed,
        samples=reference.n_samples,
        coverage=coverage,
        candidates=reports,
        reasons=tuple(reasons),
        agreements=agreements,
        n_searched=reference.n_searched,
        n_runs=len(reference.feeds),
        notes=notes,
    )


def _is_cause(note: str, reports: Sequence[CandidateReport]) -> bool:
    """Whether a note says why a candidate fails: it, or the record, is of another version."""
    failed = tuple(f"{report.model} " for report in reports if report.verdict == "fail")
    if code_of(note) == RECORD_IS_STALE:
        return bool(failed)
    return code_of(note) == OTHER_VERSION and note.startswith(failed)


def _more_time(reference: Reference, request: VerifyRequest) -> str | None:
    """How to give the search for inputs more time; None if it did not run out of it."""
    if not any(code_of(note) == OUT_OF_TIME for note in reference.notes):
        return None
    more = more_seconds(request.search_seconds)
    again = reference.source.recording is not None
    return f"record it again with {more}" if again else f"{more} lets it go on"
