"""Judge one candidate on one execution provider, in floating point or quantized."""

from __future__ import annotations

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates.candidate import CandidateJudge, Judged
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.quantized.candidate import QuantizedCandidateJudge
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError


def judge(
    reference: Reference, linked: Linked, provider: str | None, request: VerifyRequest
) -> Judged:
    """Run a candidate and compare it with the reference.

    Args:
        reference: the reference, which was run.
        linked: the candidate.
        provider: what runs it; None for a candidate that onnxruntime does not run.
        request: the options.

    Raises:
        PReLUToolsError: it cannot be run, or its outputs cannot be paired.
    """
    if is_quantized(reference.source):
        judged = CandidateJudge(reference, linked, provider, request).judged()
        if judged.report.verdict == "fail":
            raise PReLUToolsError(
                f"{request.reference} is quantized itself, so rounding and real differences "
                "cannot be told apart: expected the floating-point model as the reference"
            )
        return judged
    graph = linked.source.graph
    meaning = None if graph is None or provider is None else graph.meaning()
    if meaning is not None:
        return QuantizedCandidateJudge(reference, linked, provider, request).judged()
    return CandidateJudge(reference, linked, provider, request).judged()


def is_quantized(source: Source) -> bool:
    """Whether a source is an ONNX file in integer codes, known ones or not."""
    graph = source.graph
    try:
        return graph is not None and graph.meaning() is not None
    except PReLUToolsError:
        return True
