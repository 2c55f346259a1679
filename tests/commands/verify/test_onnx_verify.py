"""ONNX candidates on several providers, compared with the reference and with each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_checks import CPU, TENTHS, request_of, small_net
from text_nets import save

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.commands.verify.command import verify
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.verification.candidate import ProviderReport
from prelu_tools.core.results.verification.result import Agreement


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return small_net(tmp_path)


def test_providers_are_judged_one_by_one_and_against_each_other(net: Path) -> None:
    providers = ("cpu", "cpu", "CPUExecutionProvider", "abacus")
    told: list[str] = []
    result = verify(request_of(net, net, providers=providers, power=False), told.append)
    assert told[2:] == [f"checking {net} on {name}" for name in providers]
    assert [report.provider for report in result.candidates] == [
        CPU, CPU, replace(CPU, requested="CPUExecutionProvider"), ProviderReport("abacus", (), ())
    ]  # fmt: skip
    assert [report.verdict for report in result.candidates] == [
        "pass", "pass", "pass", "inconclusive"
    ]  # fmt: skip
    (agreement,) = result.agreements
    assert agreement == Agreement(
        str(net), ("cpu", "CPUExecutionProvider"), agreement.outputs, "pass"
    )
    assert [output.max_abs_diff for output in agreement.outputs] == [0.0]


def test_a_provider_that_differs_from_the_first_is_named(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run

    def other(self: Session, feeds: Any, *rest: Any) -> dict[str, Array]:
        found = run(self, feeds, *rest)
        if self.report.requested != "cpu":
            found = {name: y + np.float32(1) for name, y in found.items()}
        return found

    monkeypatch.setattr(Session, "run", other)
    providers = ("cpu", "CPUExecutionProvider")
    result = verify(request_of(net, net, providers=providers, power=False, layers=False))
    assert [report.verdict for report in result.candidates] == ["pass", "fail"]
    (agreement,) = result.agreements
    assert agreement.verdict == "fail"
    words = f"{net}, cpu against CPUExecutionProvider: output 'y': "
    own = [f"{net}: {reason}" for reason in result.candidates[1].reasons]
    assert list(result.reasons[:-1]) == own
    assert result.reasons[-1].startswith(words)
    assert result.verdict == "fail"


def test_several_files_have_their_own_agreements(net: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.onnx", "[act] y = PRelu(x, a)", a=TENTHS)
    providers = ("cpu", "CPUExecutionProvider")
    result = verify(request_of(net, net, other, providers=providers, power=False))
    assert [x.model for x in result.agreements] == [str(net), str(other)]
    assert result.verdict == "pass"
    assert verify(request_of(net, net, net, power=False)).agreements == ()


def test_providers_agree_on_what_looks_alike_in_every_layout(tmp_path: Path) -> None:
    cube = "float[batch,3,3,3]"
    net = save(tmp_path / "n.onnx", "y = PRelu(x, a)", f"{cube} x", f"{cube} y", a=TENTHS)
    providers = ("cpu", "CPUExecutionProvider")
    layouts: Any = {"reference": "nchw", "candidate": "nchw"}
    result = verify(
        request_of(net, net, providers=providers, power=False, samples=1, layouts=layouts)
    )
    assert [agreement.verdict for agreement in result.agreements] == ["pass"]
