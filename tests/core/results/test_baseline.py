"""Figures against an earlier run: what is worse, what cannot be compared, and what is noise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest

from prelu_tools.core.results.verification.baseline import Baseline, compared_with, entry_of
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity
from prelu_tools.core.results.verification.result import BaselineReport, Coverage, VerifyResult


def _result(
    diff: float = 1e-6,
    limit: float | None = 8e-7,
    ulp: int | None = 1,
    exercised: int = 100,
    detected: int = 10,
    along: float | None = 1e-6,
    top1: float | None = 1.0,
    layer: str = "act",
    **changes: Any,
) -> VerifyResult:
    """A pass with these figures: the limit is the output's and the layer's."""
    output = OutputParity(
        "y", (2, 3), diff, 0.0, 0, 0, "pass", top1_agreement=top1, limit=limit
    )  # fmt: skip
    one = LayerParity(layer, True, None, along, ulp, exercised / 100, "pass", limit=limit)
    power = Power(10, detected, detected, detected, (), 0, sampled=False)
    candidate = CandidateReport(
        "net.onnx", "pass", ProviderReport("cpu", ("CPUExecutionProvider",), ()),
        Tolerance(0.0, 0.0, scaled=True, origin="calibrated"), (output,), (one,), None, (),
        power=power,
    )  # fmt: skip
    made = VerifyResult(
        "pass", "net.keras", "float64", {}, 0, 16, Coverage(exercised, 100, ()), (candidate,), ()
    )
    return replace(made, **changes)


def _held(
    now: VerifyResult, before: VerifyResult | None = None, factor: float = 2.0
) -> VerifyResult:
    known = Baseline("b.json", {"net": entry_of(before or _result())})
    return compared_with(now, known, "net", factor)


def test_the_figures_are_those_of_each_part() -> None:
    assert entry_of(_result()).figures == {
        "inputs": {"coverage": 1.0},
        "net.onnx[cpu]": {"power": 1.0},
        "net.onnx[cpu] output y": {"max_abs_diff": 1e-6, "top1_agreement": 1.0},
        "net.onnx[cpu] layer act": {"max_abs_diff": 1e-6, "max_ulp_diff": 1.0, "coverage": 1.0},
    }
    named = entry_of(_result(), {"net.onnx": "candidate"}).figures
    assert "candidate[cpu] output y" in named


def test_the_same_passes_and_is_said() -> None:
    found = _held(_result())
    assert (found.verdict, found.reasons) == ("pass", ())
    assert found.baseline is not None
    assert (found.baseline.n_compared, found.baseline.worse) == (7, ())


@pytest.mark.parametrize(
    ("changes", "part", "figure", "allowed"),
    [
        ({"diff": 2.1e-6}, "net.onnx[cpu] output y", "max_abs_diff", 2e-6),
        ({"along": 2.1e-6}, "net.onnx[cpu] layer act", "max_abs_diff", 2e-6),
        ({"ulp": 3}, "net.onnx[cpu] layer act", "max_ulp_diff", 2.0),
        ({"detected": 9}, "net.onnx[cpu]", "power", 0.99),
        ({"top1": 0.9}, "net.onnx[cpu] output y", "top1_agreement", 0.99),
    ],
)
def test_a_figure_that_is_worse_fails(
    changes: dict[str, Any], part: str, figure: str, allowed: float
) -> None:
    found = _held(_result(**changes))
    assert found.verdict == "fail"
    assert found.baseline is not None
    (worse,) = found.baseline.worse
    assert (worse.part, worse.figure) == (part, figure)
    assert worse.allowed == pytest.approx(allowed)
    (reason,) = found.reasons
    assert reason.startswith(f"baseline b.json: {part}: {figure} is ")


def test_coverage_that_is_worse_fails_of_the_inputs_and_of_the_layer() -> None:
    found = _held(_result(exercised=98))
    assert found.baseline is not None
    assert [one.part for one in found.baseline.worse] == ["inputs", "net.onnx[cpu] layer act"]


@pytest.mark.parametrize(
    "changes",
    [
        {"diff": 2e-6},
        {"ulp": 2},
        {"exercised": 99},
        {"diff": 0.0, "ulp": 0, "along": 0.0},
    ],
)
def test_what_is_within_the_factor_or_is_noise_passes(changes: dict[str, Any]) -> None:
    assert _held(_result(**changes)).verdict == "pass"
    exact = _result(diff=0.0, along=0.0, limit=None)
    assert _held(exact, exact).verdict == "pass"


def test_an_eighth_of_the_limit_is_noise_and_more_is_not() -> None:
    before = _result(diff=0.0, along=0.0)
    assert _held(_result(diff=1e-7, along=1e-7), before).verdict == "pass"
    assert _held(_result(diff=1.01e-7, along=1e-7), before).verdict == "fail"
    for limit in (None, 0.0, math.inf):
        assert _held(_result(diff=1e-12, along=0.0, limit=limit), before).verdict == "fail"


def test_the_factor_is_that_which_is_given() -> None:
    assert _held(_result(diff=2.9e-6), factor=3).verdict == "pass"
    assert _held(_result(diff=1.1e-6), factor=1).verdict == "fail"
    known = Baseline("b.json", {"net": entry_of(_result())})
    for diff, verdict in ((1.9e-6, "pass"), (2.1e-6, "fail")):
        assert compared_with(_result(diff=diff), known, "net").verdict == verdict
    low = _result(exercised=90)
    assert _held(_result(exercised=80), low).verdict == "pass"  # twice as much is missing
    assert _held(_result(exercised=79), low).verdict == "fail"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            _result(samples=8),
            "it was measured on 16 samples with seed 0, and this run on 8 samples",
        ),
        (
            _result(seed=1),
            "and this run on 16 samples with seed 1: update it with --update-baseline",
        ),
        (
            _result(layer="other"),
            "no longer measured: net.onnx[cpu] layer act; if that is intended",
        ),
        (_result(ulp=None), "no longer measured: net.onnx[cpu] layer act max_ulp_diff"),
        (_result(diff=float("nan")), "no longer measured: net.onnx[cpu] output y max_abs_diff"),
    ],
)
def test_what_cannot_be_compared_is_inconclusive(now: VerifyResult, said: str) -> None:
    found = _held(now)
    assert found.verdict == "inconclusive"
    assert said in " ".join(found.reasons)


def test_figures_of_other_inputs_are_not_compared() -> None:
    found = _held(_result(seed=1), factor=3.0)
    assert found.baseline == BaselineReport("b.json", "inconclusive", 3.0, 0)


def test_a_figure_that_is_lost_hides_no_worse_one_after_it() -> None:
    for changes in ({"coverage": None, "diff": 1.0}, {"along": None, "ulp": 9}):
        found = _held(_result(**changes))
        assert found.verdict == "fail"
        assert found.baseline is not None
        assert len(found.baseline.lost) == len(found.baseline.worse) == 1


@pytest.mark.parametrize(("n", "rest"), [(5, ""), (6, " and 1 more")])
def test_five_parts_are_named_that_are_unknown_or_lost(n: int, rest: str) -> None:
    (candidate,) = _result().candidates
    (layer,) = candidate.layers
    more = tuple(replace(layer, name=f"l{i}") for i in range(n))
    several = replace(_result(), candidates=(replace(candidate, layers=(layer, *more)),))
    found, (lost,) = _held(several), _held(_result(), several).reasons
    named = ", ".join(f"net.onnx[cpu] layer l{i}" for i in range(5))
    assert found.reasons == (
        f"baseline b.json: it does not contain {named}{rest}: update it with --update-baseline",
    )
    assert lost.startswith(
        f"baseline b.json: no longer measured: {named}{rest}; if that is intended, "
    )


def test_power_that_is_not_known_is_no_figure() -> None:
    (candidate,) = _result().candidates
    for power in (None, replace(cast(Power, candidate.power), planted=0, detected=0)):
        found = entry_of(replace(_result(), candidates=(replace(candidate, power=power),)))
        assert "net.onnx[cpu]" not in found.figures


def test_what_the_baseline_does_not_know_is_inconclusive() -> None:
    found = compared_with(_result(), Baseline("b.json"), "net", 3.0)
    assert found.verdict == "inconclusive"
    assert found.baseline == BaselineReport("b.json", "inconclusive", 3.0, 0, unknown=("net",))
    assert found.reasons == (
        "baseline b.json: it does not contain the check 'net': update it with --update-baseline",
    )
    two = replace(_result(), candidates=(*_result().candidates, *_second().candidates))
    found = _held(two)
    assert found.verdict == "inconclusive"
    assert (
        "it does not contain other.onnx, other.onnx output y, other.onnx layer act"
        in found.reasons[0]
    )


def _second() -> VerifyResult:
    (candidate,) = _result().candidates
    return replace(_result(), candidates=(replace(candidate, model="other.onnx", provider=None),))


def test_nothing_to_compare_is_no_pass() -> None:
    bare = replace(_result(), coverage=None, candidates=())
    found = _held(bare, bare)
    assert found.verdict == "inconclusive"
    assert "it has no figure to compare" in found.reasons[0]
    for now, before, said in ((bare, _result(), "no longer measured"),
                              (_result(), bare, "it does not contain")):  # fmt: skip
        (reason,) = _held(now, before).reasons
        assert said in reason


def test_a_failure_stays_one_and_a_worse_figure_beats_what_is_lost() -> None:
    failed = replace(_result(), verdict="fail", reasons=("wrong",))
    assert (_held(failed).verdict, _held(failed).reasons) == ("fail", ("wrong",))
    assert _held(_result(diff=1.0, ulp=None)).verdict == "fail"


def test_a_failure_is_not_explained_by_figures_too() -> None:
    failed = _held(_result(diff=1.0, verdict="fail", reasons=("wrong",)))
    assert failed.reasons == ("wrong",)
    assert failed.baseline is not None
    assert failed.baseline.worse
