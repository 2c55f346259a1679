"""What did not pass, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.quantization import QuantizeResult
from prelu_tools.core.results.verification.result import VerifyResult

_GOOD = ("pass", "ok")
_LONGEST = 300  # characters


def headline(result: object) -> str | None:
    """The verdict and its first reason; None of what passed, or has no verdict."""
    if isinstance(result, VerifyResult):
        if result.verdict == "pass":
            return None
        return f"{result.verdict.upper()}  {first_of(result.reasons) or 'no reason given'}"
    if isinstance(result, QuantizeResult) and result.verdict in ("fail", "inconclusive"):
        reason = first_of(result.reasons) or "no reason given"
        return f"{result.verdict.upper()}  {result.source}: {reason}"
    return _of_many(result) if isinstance(result, BatchResult) else None


def _of_many(result: BatchResult) -> str | None:
    bad = [entry for entry in result.entries if entry.status not in _GOOD]
    if result.exit_code == 0 or not bad:
        return None
    first = next((entry for entry in bad if entry.status == "fail"), bad[0])
    count = f"{len(bad):,} of {len(result.entries):,}"
    return f"{first.status.upper()}  {count}; {first.name}: {first_of(first.reasons)}"


def first_of(reasons: Sequence[str]) -> str:
    """The first of some reasons, and how many more there are."""
    if not reasons:
        return ""
    text = reasons[0] if len(reasons[0]) <= _LONGEST else f"{reasons[0][:_LONGEST]}..."
    rest = len(reasons) - 1
    return f"{text} (and {rest} more {'reason' if rest == 1 else 'reasons'})" if rest else text
