"""Many checks, one verdict: a failure beats a doubt and an error, which beat a pass."""

from __future__ import annotations

from typing import get_args

import pytest

from prelu_tools.core.results.checks import CheckOutcome, ChecksResult, CheckVerdict
from prelu_tools.core.results.verification import Verdict, VerifyResult


def _outcome(verdict: CheckVerdict) -> CheckOutcome:
    if verdict == "error":
        return CheckOutcome("c", "a", ("b",), None, "no such file")
    result = VerifyResult(verdict, "a", "float64", {}, 0, 1, None, (), (f"it is a {verdict}",))
    return CheckOutcome("c", "a", ("b",), result, None)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("pass",), "pass"),
        (("pass", "pass"), "pass"),
        (("pass", "fail"), "fail"),
        (("fail", "error"), "fail"),
        (("error", "fail", "inconclusive"), "fail"),
        (("pass", "error"), "inconclusive"),
        (("error",), "inconclusive"),
        (("inconclusive", "pass"), "inconclusive"),
        ((), "inconclusive"),
    ],
)
def test_the_verdict_over_all(verdicts: tuple[CheckVerdict, ...], expected: Verdict) -> None:
    result = ChecksResult("checks.toml", tuple(map(_outcome, verdicts)))
    assert result.verdict == expected
    assert result.summary == {kind: verdicts.count(kind) for kind in result.summary}
    assert set(result.summary) == {*get_args(Verdict), "error"}


def test_an_outcome_says_why() -> None:
    assert _outcome("error").verdict == "error"
    assert _outcome("error").line is None
    assert _outcome("error").reasons == ("no such file",)
    assert _outcome("fail").verdict == "fail"
    assert _outcome("fail").reasons == ("it is a fail",)


def test_an_outcome_is_a_result_or_an_error() -> None:
    with pytest.raises(ValueError, match="either a result or an error"):
        CheckOutcome("c", "a", ("b",), None, None)
    with pytest.raises(ValueError, match="either a result or an error"):
        CheckOutcome("c", "a", ("b",), _outcome("pass").result, "no such file")
    assert CheckOutcome("c", "a", ("b",), None, "").verdict == "error"


def test_an_error_without_words_is_one() -> None:
    found = CheckOutcome("c", "a", ("b",), None, "")
    assert (found.verdict, found.reasons) == ("error", ("",))
