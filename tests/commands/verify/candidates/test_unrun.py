"""Candidates that cannot be run: said before anything is loaded, and never a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prelu_tools.commands.verify.candidates import unrun as module
from prelu_tools.commands.verify.candidates.unrun import nothing_to_run, unjudged
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.result import VerifyResult

REQUEST = VerifyRequest("r.onnx", ("c.onnx", "d.onnx"), providers=("cuda", "cpu"), seed=7)


def _refusing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """These models and providers are not there."""

    def check(name: str) -> None:
        if name in names:
            raise PReLUToolsError(f"{name} is not there")

    monkeypatch.setattr(module, "check_source", check)
    monkeypatch.setattr(module, "check_provider", check)


def test_what_is_not_compared_has_no_verdict() -> None:
    none = Tolerance(0.0, 0.0, scaled=True, origin="nothing was compared")
    report = CandidateReport("c", "inconclusive", None, none, (), (), None, ("why",))
    assert unjudged("c", None, "why") == report
    provider = ProviderReport("cuda", (), ())
    assert unjudged("c", "cuda", "why", "fail") == replace(
        report, provider=provider, verdict="fail"
    )


def test_where_nothing_can_be_run_that_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    _refusing(monkeypatch, "c.onnx", "cuda", "cpu")
    reports = (
        unjudged("c.onnx", None, "c.onnx is not there"),
        unjudged("d.onnx", "cuda", "cuda is not there"),
        unjudged("d.onnx", "cpu", "cpu is not there"),
    )
    assert nothing_to_run(REQUEST) == VerifyResult(
        "inconclusive", "r.onnx", "float32", installed_versions(), 7, 0, None, reports,
        ("c.onnx is not there", "d.onnx: cuda is not there", "d.onnx: cpu is not there"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("refused", "changes", "live"),
    [
        ((), {}, ()),
        (("c.onnx",), {}, ()),
        (("d.onnx",), {}, ()),
        (("c.onnx", "cuda"), {}, ()),
        (("c.onnx", "cpu"), {}, ()),
        (("c.onnx", "cuda", "cpu"), {"runtimes": ("ncnn",)}, ()),
        (("c.onnx", "cuda", "cpu"), {"candidates": ("c.onnx", "d.keras")}, ()),
        (("c.onnx", "d.onnx"), {}, ("d.onnx",)),
    ],
)
def test_one_that_may_run_is_enough(
    refused: tuple[str, ...], changes: dict[str, Any], live: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _refusing(monkeypatch, *refused)
    assert nothing_to_run(replace(REQUEST, **changes), live) is None
