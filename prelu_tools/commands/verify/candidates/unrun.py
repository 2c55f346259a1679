"""Report candidates that cannot be run, before the reference is loaded if possible."""

from __future__ import annotations

from collections.abc import Container

from prelu_tools.backends.onnxruntime.running.session import check_provider
from prelu_tools.backends.opening import check_source
from prelu_tools.backends.registry import runs_in_onnxruntime
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import as_reason
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import VerifyResult


def unjudged(
    text: str, provider: str | None, reason: str, verdict: Verdict = "inconclusive"
) -> CandidateReport:
    """The report of a candidate that was not compared.

    Args:
        text: the candidate.
        provider: the one that it was to run on; None for no execution provider.
        reason: why.
        verdict: what follows.
    """
    return CandidateReport(
        model=text,
        verdict=verdict,
        provider=ProviderReport(provider, (), ()) if provider else None,
        tolerance=Tolerance(0.0, 0.0, scaled=True, origin="nothing was compared"),
        outputs=(),
        layers=(),
        first_divergence=None,
        reasons=(reason,),
    )


def nothing_to_run(request: VerifyRequest, live: Container[str] = ()) -> VerifyResult | None:
    """The result where no candidate can be run at all, which is known before anything is loaded.

    Args:
        request: the options.
        live: the candidates that are objects in memory.

    Returns:
        None if at least one candidate may run on at least one provider.
    """
    reports: list[CandidateReport] = []
    for text in request.candidates:
        if text in live:
            return None
        found = _reports(text, request)
        if not found:
            return None
        reports += found
    return VerifyResult(
        verdict="inconclusive",
        reference=request.reference,
        reference_precision="float32",
        versions=installed_versions(),
        seed=request.seed,
        samples=0,
        coverage=None,
        candidates=tuple(reports),
        reasons=tuple(as_reason(r.reasons[0]).within(r.model) for r in reports),
    )


def _reports(text: str, request: VerifyRequest) -> list[CandidateReport]:
    """What is wrong with a candidate, for each provider; empty if it may run on one of them."""
    try:
        check_source(text)
    except PReLUToolsError as error:
        return [unjudged(text, None, str(error))]
    if request.runtimes or not runs_in_onnxruntime(text):
        return []
    found = []
    for provider in request.providers:
        try:
            check_provider(provider)
            return []
        except PReLUToolsError as error:
            found.append(unjudged(text, provider, str(error)))
    return found
