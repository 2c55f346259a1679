"""What was written is put in place where it passed; else it is said why not, by its final name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prelu_tools.commands.output_check import demand_pass
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.verification.candidate import CandidateReport, Tolerance
from prelu_tools.core.results.verification.result import ExportVerificationError, VerifyResult

WRITTEN, FINAL = Path("/t/.tmp-1.onnx"), Path("/t/net.onnx")
REPORT = CandidateReport(
    str(WRITTEN), "pass", None, Tolerance(0.0, 0.0, scaled=True, origin="given"), (), (), None, ()
)
RESULT = VerifyResult(
    "pass", "r", "float64", {}, 0, 1, None, (REPORT, REPORT),
    (f"{WRITTEN}: one", f"two of {WRITTEN}"), notes=(f"{WRITTEN}: a note",),
)  # fmt: skip
NAMED = replace(
    RESULT,
    candidates=(replace(REPORT, model=str(FINAL)),) * 2,
    reasons=("/t/net.onnx: one", "two of /t/net.onnx"),
    notes=("/t/net.onnx: a note",),
)


def test_a_pass_is_handed_on_with_the_final_name() -> None:
    assert demand_pass(RESULT, "exported", WRITTEN, FINAL) == NAMED


def test_a_failure_is_raised_with_its_reasons() -> None:
    failed = replace(RESULT, verdict="fail")
    with pytest.raises(ExportVerificationError) as raised:
        demand_pass(failed, "exported", WRITTEN, FINAL, "; or else")
    assert str(raised.value) == (
        "the exported model differs from its source, so /t/net.onnx was not written: "
        "one; two of /t/net.onnx"
    )
    assert raised.value.result == replace(NAMED, verdict="fail")


def test_of_many_reasons_the_first_are_said() -> None:
    many = replace(RESULT, verdict="fail", reasons=("a", "b", "c", "d", "e"))
    with pytest.raises(ExportVerificationError, match=r"not written: a; b; c; and 2 more reasons$"):
        demand_pass(many, "exported", WRITTEN, FINAL)


@pytest.mark.parametrize(
    ("reasons", "words"), [(("a", "b", "c"), "a; b; c"), (("a", "b", "c", "d"),
                                                          "a; b; c; and 1 more reason")]
)  # fmt: skip
def test_notes_come_behind_the_reasons(reasons: tuple[str, ...], words: str) -> None:
    failed = replace(RESULT, verdict="fail", reasons=reasons)
    with pytest.raises(ExportVerificationError) as raised:
        demand_pass(failed, "exported", WRITTEN, FINAL, "", ("n", "m"))
    assert str(raised.value).endswith(f"was not written: {words}; n; m")


@pytest.mark.parametrize(("otherwise", "end"), [("", ""), ("; or else", "; or else")])
def test_no_verdict_says_what_else_can_be_done(otherwise: str, end: str) -> None:
    doubtful = replace(RESULT, verdict="inconclusive", reasons=())
    with pytest.raises(PReLUToolsError) as raised:
        demand_pass(doubtful, "optimized", WRITTEN, FINAL, otherwise)
    assert type(raised.value) is PReLUToolsError
    assert str(raised.value) == (
        "the optimized model could not be verified, so /t/net.onnx was not written: no reason "
        f"given{end}"
    )
    with pytest.raises(PReLUToolsError) as raised:
        demand_pass(doubtful, "optimized", WRITTEN, FINAL)
    assert str(raised.value).endswith("no reason given")
