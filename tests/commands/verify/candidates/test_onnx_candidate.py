"""An ONNX candidate on its providers: what ran it, what is planted in it, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_models import NumpyModel, the_one
from onnx_checks import CPU, TENTHS, request_of, small_net
from text_nets import COLUMN, npz, save

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates import candidate as module
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.command import verify, verify_source
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.progress import listening
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.reasons import Reason, code_of
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


class _Listener:
    """Writes down how far each part of the work came."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, int, int]] = []

    def begin(self, part: str, total: int) -> None:
        self.parts.append((part, total, 0))

    def step(self) -> None:
        part, total, done = self.parts[-1]
        self.parts[-1] = part, total, done + 1

    def end(self) -> None:
        part, total, done = self.parts[-1]
        assert done == total or not total, part


def test_every_part_of_the_work_is_told(net: Path) -> None:
    listener = _Listener()
    with listening(listener):
        assert verify(request_of(net, net)).verdict == "pass"
    assert listener.parts == [
        ("running the reference", 2, 2),
        ("running the reference, perturbed by rounding", 2, 2),
        ("observing its layers", 2, 2),
        ("planting slope faults", 6, 6),
    ]


def test_a_search_is_told_without_knowing_how_long_it_is() -> None:
    listener, model = _Listener(), NumpyModel()
    model.found = [{"x": np.ones((2, 3), np.float32)}] * 3
    with listening(listener):
        _with(model, NumpyModel(), search_seconds=50.0, ranges={"": (1.0, 2.0)})
    assert ("looking for inputs that reach the remaining slopes", 0, 3) in listener.parts
    assert listener.parts[-1] == ("running the reference in float64", 2, 2)


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
    power = f"{net}: power (how many planted slope faults the checks catch)"
    assert f"{power} was not measured: it is too large" in result.notes


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
    assert (plan.provider, plan.seed, plan.source.label) == ("cpu", 7, str(net))
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


# Names that other layers have

A, B = TENTHS, TENTHS * 2


def _chain(path: Path, first: str, second: str, a: Array = A, b: Array = B) -> Path:
    """Two layers one after the other, called after their slopes."""
    body = f"[{first}] t = PRelu(x, {first}) n = Neg(t) [{second}] y = PRelu(n, {second})"
    return save(path, body, **{first: a, second: b})


def _layers(*models: Path, **other: Any) -> list[tuple[str, str, str | None]]:
    report = the_one(verify(request_of(*models, power=False, **other)))
    return [(x.name, x.verdict, x.note) for x in report.layers]


def test_layers_are_paired_by_slopes_where_names_mislead(tmp_path: Path) -> None:
    left = _chain(tmp_path / "l.onnx", "p", "q")
    right = _chain(tmp_path / "r.onnx", "q", "p")
    note = "called {!r} in the candidate, where other layers have these names"
    assert _layers(left, right) == [
        ("p", "pass", note.format("q")), ("q", "pass", note.format("p"))
    ]  # fmt: skip
    wrong = _chain(tmp_path / "w.onnx", "q", "p", b=B + 1)
    assert [verdict for _, verdict, _ in _layers(left, wrong)] == ["fail", "fail"]


def test_one_negative_input_shows_a_slope(tmp_path: Path) -> None:
    left = _chain(tmp_path / "l.onnx", "p", "q")
    right = _chain(tmp_path / "r.onnx", "q", "p")
    x = np.ones((1, 3, 4, 5), np.float32)
    x[:, :, 0, 0] = -1
    given = npz(tmp_path / "x.npz", x=x)
    usual = VerifyRequest("r", ("c",)).search_seconds
    found = _layers(left, right, inputs_file=given, search_seconds=usual)
    assert [verdict for _, verdict, _ in found] == ["pass", "pass"]


def test_they_are_not_where_no_input_shows_their_slopes(tmp_path: Path) -> None:
    left = _chain(tmp_path / "l.onnx", "p", "q")
    right = _chain(tmp_path / "r.onnx", "q", "p")
    found = _layers(left, right, ranges={"": (1.0, 2.0)})
    assert [verdict for _, verdict, _ in found] == ["fail", "fail"]


def test_they_are_not_where_their_values_differ(tmp_path: Path) -> None:
    """No output shows what they give."""
    body = "[p] t = PRelu(x, p) y = Neg(x) [q] u = PRelu(y, q)"
    left = save(tmp_path / "l.onnx", body, p=A, q=B)
    right = save(tmp_path / "r.onnx", body, p=B, q=A)
    found = _layers(left, right)
    assert [(verdict, note) for _, verdict, note in found] == [("fail", None), ("fail", None)]


def test_they_are_not_where_layers_are_not_looked_at_or_an_output_differs(tmp_path: Path) -> None:
    left = _chain(tmp_path / "l.onnx", "p", "q")
    right = _chain(tmp_path / "r.onnx", "q", "p")
    found = _layers(left, right, layers=False)
    assert [verdict for _, verdict, _ in found] == ["inconclusive", "inconclusive"]
    body = "[q] t = PRelu(x, q) n = Neg(t) [p] u = PRelu(n, p) y = Neg(u)"
    found = _layers(left, save(tmp_path / "n.onnx", body, q=A, p=B))
    assert [verdict for _, verdict, _ in found] == ["fail", "fail"]


@pytest.mark.parametrize(
    ("changes", "differs", "who"),
    [({}, False, "settled"), ({"layers": False}, False, "unsearched"),
     ({}, True, "blamed"), ({"layers": False}, True, "blamed")],
)  # fmt: skip
def test_what_layers_prove_depends_on_the_outputs(
    changes: dict[str, bool], differs: bool, who: str, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def note(name: str) -> Any:
        def settle(layers: Any, _judge: object, search: Any) -> Any:
            asked.append((name, search.provider))
            return layers

        return settle

    for name in ("settled", "unsearched", "blamed"):
        monkeypatch.setattr(module, name, note(name))
    _with(NumpyModel(), NumpyModel(change=lambda _, y: y + np.float32(differs)), **changes)
    provider = "CPUExecutionProvider"
    verify(request_of(net, net, power=False, providers=(provider,)))
    assert asked == [(who, "cpu"), ("settled", provider)]


def test_a_file_that_fails_at_a_size_which_it_declares_fails(net: Path, tmp_path: Path) -> None:
    sizes = np.array([4, 3, 4, 5])
    body = "r = Reshape(x, sizes) [act] y = PRelu(r, a)"
    rigid = save(tmp_path / "rigid.onnx", body, a=TENTHS, sizes=sizes)
    (reason,) = the_one(verify(request_of(net, rigid, samples=4))).reasons
    assert code_of(reason) == "candidate_refuses_input"
