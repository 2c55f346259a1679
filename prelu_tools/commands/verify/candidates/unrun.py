"""Report candidates that cannot be run: before the reference is loaded if possible, or by reading.

What is wrong with slopes of a shape that does not fit their layer can be read from the file.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from prelu_tools.backends.onnxruntime.running.session import check_provider
from prelu_tools.backends.opening import check_source
from prelu_tools.backends.registry import runs_in_onnxruntime
from prelu_tools.commands.verify.layers.watched import AXES
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, RefusedInputError
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopediff import pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer, Shape
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import Reason, as_reason
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


def not_run(
    layers: Sequence[PReLULayer], linked: Linked, where: str | None, error: PReLUToolsError
) -> CandidateReport:
    """The report of a candidate that failed on the reference's inputs.

    It is a failure only if the candidate itself is at fault for certain.

    Args:
        layers: the reference's.
        linked: the candidate.
        where: what it was to run on.
        error: how it failed.
    """
    is_refused = isinstance(error, RefusedInputError)
    why = Reason(str(error), "candidate_refuses_input") if is_refused else str(error)
    found: list[Reason] = []
    if linked.source.graph is not None:
        with suppress(PReLUToolsError):
            found += _misshapen(layers, linked.source.layers())
    report = unjudged(linked.label, where, why, "fail" if is_refused or found else "inconclusive")
    return replace(report, reasons=(*found, *report.reasons))


def _misshapen(layers: Sequence[PReLULayer], found: Sequence[PReLULayer]) -> Iterator[Reason]:
    """A sentence for each layer whose slopes are on other axes than the sizes of its input say."""
    for mine, theirs in pair_layers(layers, found).pairs:
        slopes, known = theirs.slopes.shape, theirs.input_shape
        if known is None:
            continue
        orders = AxisAlignment.usual(mine.slopes.ndim).laying(mine.slopes.shape, known)
        possible = {tuple(mine.slopes.shape[axis] for axis in order) for order in orders}
        expected = max(possible, key=lambda shape: _n_confirmed(shape, known), default=slopes)
        if _n_confirmed(expected, known) > _n_confirmed(slopes, known):
            text = f"its slopes have shape {_in_words(slopes)}, expected {_in_words(expected)}"
            yield Reason(f"{mine.name}: {text}", AXES)


def _n_confirmed(slopes: tuple[int, ...], known: Shape) -> int:
    """The axes along which slopes differ, and for which the input has that size."""
    pairs = zip(slopes, known, strict=False)  # slopes may have too many axes
    return sum(size == other for size, other in pairs if size != 1)


def _in_words(slopes: tuple[int, ...]) -> str:
    """The shape, without the axis of the batch."""
    return "x".join(map(str, slopes[1:] if len(slopes) > 1 and slopes[0] == 1 else slopes))


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
