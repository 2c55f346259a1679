"""An ONNX candidate on its providers: what ran it, what is planted in it, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_models import NumpyModel
from onnx_checks import CPU, TENTHS, request_of, small_net, the_one
from text_nets import COLUMN, save

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.registry import open_source
from prelu_tools.commands.verify.candidates import candidate as module
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.command import verify, verify_source
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.result import VerifyResult


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return small_net(tmp_path)


def test_a_file_is_like_itself(net: Path) -> None:
    told: list[str] = []
    result = verify(request_of(net, net), told.append)
    report = the_one(result)
    assert (result.verdict, result.reasons) == ("pass", ())
    assert result.power == report.power == Power(6, 6, 6, 6, (), 0, sampled=False)
    assert (report.provider, report.special, report.reasons) == (CPU, (), ())
    (layer,) = report.layers
    assert (layer.provider, layer.node, layer.max_abs_diff) == ("CPUExecutionProvider", "act", 0.0)
    assert layer.n_by_behaviour == 3
    assert told == [f"loading {net}", f"running {net}", f"checking {net} on cpu"]


ELSEWHERE = ProviderReport("cuda", ("CUDA", "CPU"), ("one", "two"))


@pytest.mark.parametrize(("allowed", "verdict"), [(False, "inconclusive"), (True, "pass")])
def test_nodes_that_ran_elsewhere(
    allowed: bool, verdict: str, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "report", ELSEWHERE)
    asked = {"providers": ("CPUExecutionProvider",), "allow_fallback": allowed}
    report = the_one(verify(request_of(net, net, **asked, power=False)))
    words = "cuda was requested, but 2 nodes ran on CUDA, CPU; --allow-fallback permits that"
    assert report.verdict == verdict
    assert report.reasons == (() if allowed else (words,))
    assert report.provider == ELSEWHERE


# Power


def test_power_that_cannot_be_measured_is_a_note(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_plan: object) -> Power:
        raise PReLUToolsError("it is too large")

    monkeypatch.setattr(module, "measure_power", refuse)
    result = verify(request_of(net, net))
    assert (result.verdict, result.power) == ("pass", None)
    assert f"{net}: power was not measured (it is too large)" in result.notes


@pytest.mark.parametrize("other", [{"power": False}, {"layers": False}])
def test_nothing_is_planted_where_nobody_asks(
    other: dict[str, Any], net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "measure_power", asked.append)
    assert the_one(verify(request_of(net, net, **other))).power is None
    assert asked == []


def test_the_plan_of_power_is_that_of_the_check(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Any] = []
    monkeypatch.setattr(module, "measure_power", plans.append)
    assert the_one(verify(request_of(net, net, seed=7, samples=3))).power is None
    (plan,) = plans
    assert (plan.provider, plan.seed, plan.source.spelled) == ("cpu", 7, str(net))
    assert [len(feed["x"]) for feed in plan.feeds[:2]] == [3, 1]
    assert [layer.name for layer in plan.references] == ["a"]
    assert plan.reached.exercised == 3
    assert not plan.outputs.notices({"y": _prelu(plan.feeds[0]["x"])}, 0)
    assert plan.outputs.notices({"y": _prelu(plan.feeds[0]["x"]) + 1}, 0)


def _prelu(x: Array) -> Array:
    return np.where(x > 0, x, x * TENTHS)


def test_nothing_is_planted_where_there_is_a_doubt(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    sizes = []

    def shaky(_runner: object, feeds: Any, results: Any) -> RepeatedRun:
        sizes.append(([len(feed["x"]) for feed in feeds], [len(found["y"]) for found in results]))
        return RepeatedRun(doubts=[Reason("is shaky")])

    monkeypatch.setattr(module, "measure_power", asked.append)
    monkeypatch.setattr(module, "run_again", shaky)
    report = the_one(verify(request_of(net, net, samples=4)))
    assert (report.verdict, report.reasons, report.power) == (
        "inconclusive",
        ("it is shaky",),
        None,
    )
    assert asked == []
    assert sizes == [([4, 1], [4, 1])]


def test_any_candidate_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def note(_runner: object, feeds: Any, results: Any) -> RepeatedRun:
        sizes.append(([len(feed["x"]) for feed in feeds], [len(found["y"]) for found in results]))
        return RepeatedRun()

    monkeypatch.setattr(module, "run_again", note)
    _with(NumpyModel(), NumpyModel())
    ((fed, given),) = sizes
    assert fed == given
    assert fed[:2] == [16, 1]


# Special values


def _with(reference: Any, candidate: Any, **other: Any) -> VerifyResult:
    ready: dict[str, Source] = {"c": candidate}
    return verify_source(
        reference, replace(VerifyRequest("r", ("c",), search_seconds=0.0), **other), ready
    )


def test_special_values_know_what_runs_the_candidate(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def compare(*arguments: object) -> tuple[()]:
        asked.append(arguments)
        return ()

    monkeypatch.setattr(module, "compare_special_values", compare)
    mine, theirs = NumpyModel(), NumpyModel()
    _with(mine, theirs)
    source = open_source(str(net), SourceOptions())
    _with(source, source, power=False)
    runtime = installed_version("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
    assert asked[0][:4] == (mine, theirs, "", "")
    assert asked[1][:4] == (source, source, "cpu", runtime)
    assert (asked[0][0] is mine, asked[0][1] is theirs) == (True, True)
    asked.clear()
    _with(NumpyModel({}), NumpyModel({}))
    _with(NumpyModel({}), NumpyModel())
    _with(NumpyModel(), NumpyModel({}))
    assert asked == []


# Small things


def test_what_was_not_judged_has_no_results() -> None:
    nothing = Tolerance(0.0, 0.0, scaled=True, origin="")
    report = CandidateReport("m", "pass", None, nothing, (), (), None, ())
    assert (Judged(report).results, Judged(report).notes) == ([], ())


@pytest.mark.parametrize("outputs", [(), ("y",)])
def test_a_limit_of_each_value_needs_no_type(outputs: tuple[str, ...]) -> None:
    models = [NumpyModel(is_wide=False, outputs=outputs) for _ in range(2)]
    report = the_one(_with(*models, samples=1))
    assert report.tolerance.origin == "sensitivity"


def test_both_ways_of_a_layer_are_seen() -> None:
    report = the_one(_with(NumpyModel(), NumpyModel()))
    (layer,) = report.layers
    assert (layer.max_abs_diff, layer.max_ulp_diff, layer.n_by_behaviour) == (0.0, 0, 3)
    assert layer.provider is None


def test_a_column_of_another_file_fails(net: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "o.onnx", "[act] y = PRelu(x, a)", a=COLUMN)
    result = verify(request_of(net, other))
    assert (result.verdict, the_one(result).first_divergence) == ("fail", "a")
    assert the_one(result).power is None
