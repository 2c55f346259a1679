"""`export`, `verify` and `doctor` for people."""

from __future__ import annotations

import dataclasses

import pytest
from made_results import assert_gold, examined, exported, usual, verified

from prelu_tools.core.results import OutputParity, ProviderReport, VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.table import render


def _passed() -> VerifyResult:
    failed = verified()
    output = OutputParity("y", (16, 10), 1.5e-7, 2.5e-3, 0, 0, "pass")
    candidate = dataclasses.replace(
        failed.candidates[0],
        model="other.keras",
        verdict="pass",
        provider=None,
        outputs=(output,),
        layers=failed.candidates[0].layers[:1],
    )
    return dataclasses.replace(failed, verdict="pass", candidates=(candidate,), reasons=())


def _both() -> VerifyResult:
    candidates = (*verified().candidates, *_passed().candidates)
    return dataclasses.replace(verified(), candidates=candidates)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("verify", verified()),
        ("verify_two", _both()),
        ("export", exported(_passed())),
        ("export_unverified", exported()),
        ("doctor", examined()),
    ],
)
def test_each_command(name: str, result: Result) -> None:
    assert_gold(f"{name}.txt", render(result, Style()))


def test_verdicts_have_their_colour() -> None:
    text = render(_both(), Style(colour=True))
    assert "\x1b[1;31mFAIL" in text
    assert "\x1b[32mequal" in text
    assert "\x1b[1;31mdiffer" in text
    assert "\x1b" not in render(usual(), Style())


def test_where_nothing_ran_it_says_what_was_asked_for() -> None:
    provider = ProviderReport("cuda", (), ())
    candidate = dataclasses.replace(verified().candidates[0], provider=provider)
    text = render(dataclasses.replace(verified(), candidates=(candidate,)), Style())
    assert "candidate  net.onnx on cuda\n" in text


def test_an_export_of_outputs_alone_says_so() -> None:
    nothing = dataclasses.replace(_passed(), candidates=(), coverage=None)
    assert "0 outputs within 0.0e+00" in render(exported(nothing), Style())
