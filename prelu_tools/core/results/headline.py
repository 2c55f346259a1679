"""What did not pass, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.checks import ChecksResult
from prelu_tools.core.results.verification import VerifyResult

_GOOD = ("pass", "ok")
_LONGEST = 300  # characters


def headline(result: object) -> str | None:
    """The verdict and its first reason; None of what passed, or has no verdict."""
    if isinstance(result, VerifyResult):
        if result.verdict == "pass":
            return None
        return f"{result.verdict.upper()}  {first_of(result.reasons) or 'no reason given'}"
    if isinstance(result, ChecksResult):
        found = [(one.verdict, one.name, one.reasons) for one in result.outcomes]
        return _of_many(found, "check")
    if isinstance(result, BatchResult):
        return _of_many([(one.status, one.name, one.reasons) for one in result.entries], "model")
    return None


def _of_many(found: Sequence[tuple[str, str, Sequence[str]]], noun: str) -> str | None:
    bad = [one for one in found if one[0] not in _GOOD]
    if not bad:
        return None
    word = "fail" if any(kind == "fail" for kind, _, _ in bad) else bad[0][0]
    _, name, reasons = next(one for one in bad if one[0] == word)
    nouns = noun if len(found) == 1 else f"{noun}s"
    return f"{word.upper()}  {len(bad):,} of {len(found):,} {nouns}; {name}: {first_of(reasons)}"


def first_of(reasons: Sequence[str]) -> str:
    """The first of some reasons, and how many more there are."""
    if not reasons:
        return ""
    text = reasons[0] if len(reasons[0]) <= _LONGEST else f"{reasons[0][:_LONGEST]}..."
    rest = len(reasons) - 1
    return f"{text} (and {rest} more {'reason' if rest == 1 else 'reasons'})" if rest else text
