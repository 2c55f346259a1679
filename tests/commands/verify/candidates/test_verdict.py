"""The verdict that follows from what was found of a candidate, and its reasons in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prelu_tools.commands.verify.candidates.verdict import Findings, Seen, report_of
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import (
    InterfaceDifference,
    LayerParity,
    OutputParity,
    SpecialValue,
    Verdict,
)

REQUEST = VerifyRequest("r", ("c",))
TOLERANCE = Tolerance(0.0, 0.0, scaled=False, origin="given")
OUTPUT = OutputParity("y", (1, 3), 0.0, 0.0, 0, 0, "pass")
LAYER = LayerParity("a", True, None, 0.0, 0, 1.0, "pass", n_slopes=3, node="a_node")
WRONG = replace(LAYER, verdict="fail", difference=Reason("a: it is off", "layer_differs"))
SPECIAL = SpecialValue("a", "max", 0.5, float("inf"), float("inf"), float("nan"), None)
INTERFACE = InterfaceDifference("output", "y", "output_renamed", "y", "z")
PROVIDER = ProviderReport("cuda", ("CUDA", "CPU"), ("n", "m"))


def _seen(**changes: Any) -> Seen:
    return replace(Seen([{"y": np.zeros(1)}], CoverageBook([]), RepeatedRun()), **changes)


def _found(**changes: Any) -> Findings:
    nothing = Findings(_seen(), (OUTPUT,), (LAYER,), (), TOLERANCE, is_random=False)
    return replace(nothing, **changes)


def _report(request: VerifyRequest = REQUEST, **changes: Any) -> CandidateReport:
    return report_of("c.onnx", _found(**changes), request)


def _said(report: CandidateReport) -> tuple[Verdict, list[str], list[str | None]]:
    return report.verdict, list(report.reasons), [code_of(reason) for reason in report.reasons]


def test_what_is_right_passes_with_all_that_was_found() -> None:
    documented = replace(SPECIAL, documented="as onnxruntime does")
    found = _found(seen=_seen(provider=PROVIDER), special=(documented,), interface=(INTERFACE,))
    request = replace(REQUEST, allow_fallback=True)
    assert report_of("c.onnx", found, request) == CandidateReport(
        model="c.onnx",
        verdict="pass",
        provider=PROVIDER,
        tolerance=TOLERANCE,
        outputs=(OUTPUT,),
        layers=(LAYER,),
        first_divergence=None,
        reasons=(),
        special=(documented,),
        power=None,
        interface=(INTERFACE,),
    )


def test_what_was_not_looked_at_is_none() -> None:
    found = _found()
    assert (found.sizes, found.power, found.special) == (None, None, ())
    assert (found.seen.provider, _report().provider) == (None, None)


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_an_output_decides(verdict: Verdict) -> None:
    output = replace(OUTPUT, verdict=verdict, difference="output y: 3 values differ")
    assert _said(_report(outputs=(OUTPUT, output))) == (
        verdict, ["output y: 3 values differ"], [None]
    )  # fmt: skip


def test_sizes_follow_the_outputs() -> None:
    output = replace(OUTPUT, verdict="fail", difference="output y: 3 values differ")
    report = _report(outputs=(output,), sizes="for batches of 3 only", layers=(WRONG,))
    assert report.reasons == (
        "a: it is off; the first layer that differs (node 'a_node' in the candidate)",
        "output y: 3 values differ",
        "for batches of 3 only",
    )


def test_what_is_random_comes_before_what_follows_from_it() -> None:
    off = replace(WRONG, node=None)
    report = _report(is_random=True, layers=(off,), seen=_seen(doubts=["it is random"]))
    assert (report.verdict, report.reasons) == ("inconclusive", ("it is random", "a: it is off"))


def test_what_differs_comes_before_what_else_is_wrong() -> None:
    power = Power(10, 9, 9, 9, (), 0, sampled=False)
    wrong = replace(OUTPUT, verdict="fail", difference="it differs")
    found = _report(outputs=(wrong,), seen=_seen(faults=["it drops values"]), power=power)
    assert (found.verdict, found.reasons) == ("fail", ("it differs", "it drops values"))
    assert found.power == power


def test_layers_that_fail_come_first_and_the_first_of_them_is_named() -> None:
    doubtful = replace(LAYER, name="b", verdict="inconclusive", difference=Reason("b: in doubt"))
    more = replace(WRONG, name="d", difference="d: it is off", node="d_node")
    lost = replace(WRONG, name="e", difference="e: it is missing", node=None)
    report = _report(layers=(LAYER, doubtful, replace(WRONG, parameter="a.weight"), more, lost))
    assert _said(report) == (
        "fail",
        [
            "a: it is off; the first layer that differs (slopes 'a.weight' in the reference, node "
            "'a_node' in the candidate)",
            "d: it is off; node 'd_node'",
            "e: it is missing",
            "b: in doubt",
        ],
        ["layer_differs", None, None, None],
    )
    assert report.first_divergence == "a"
    assert _report(layers=(lost, more)).reasons == (
        "e: it is missing",
        "d: it is off; node 'd_node'",
    )
    assert _report(layers=(doubtful,)).first_divergence is None
    assert _report(layers=(doubtful,)).verdict == "inconclusive"


def test_a_layer_that_may_hand_on_what_it_was_given_is_named_behind_those_that_are_wrong() -> None:
    handed = Reason("a: its output differs from the reference's by up to 2", "layer_output_differs")
    first = replace(WRONG, difference=handed)
    second = replace(WRONG, name="b", difference=Reason("b: 3 of 3 slopes differ", "slopes_differ"))
    report = _report(layers=(first, replace(second, node="b_node")))
    assert report.reasons == (
        "b: 3 of 3 slopes differ; node 'b_node'",
        f"{handed}; the first layer that differs (node 'a_node' in the candidate)",
    )
    assert report.first_divergence == "a"


def test_values_of_a_random_model_prove_nothing_and_slopes_do() -> None:
    output = replace(OUTPUT, verdict="fail")
    assert _report(outputs=(output,), layers=(WRONG,), is_random=True).verdict == "inconclusive"
    assert _report(is_random=True).verdict == "pass"
    slopes = replace(WRONG, slopes_equal=False)
    assert _report(layers=(slopes,), is_random=True).verdict == "fail"
    assert _report(layers=(replace(LAYER, slopes_equal=False),)).verdict == "pass"


def test_a_special_value_without_an_explanation_fails() -> None:
    assert _said(_report(special=(replace(SPECIAL, documented=""), SPECIAL))) == (
        "fail",
        ["a: inf with slope 0.5 gives nan, but inf in the reference (max)"],
        ["special_value_differs"],
    )


def test_nodes_on_another_provider_are_in_doubt_unless_they_are_allowed() -> None:
    seen = _seen(provider=PROVIDER)
    assert _said(_report(seen=seen)) == (
        "inconclusive",
        ["cuda was requested, but 2 nodes ran on CUDA, CPU; --allow-fallback permits that"],
        [None],
    )
    assert _report(replace(REQUEST, allow_fallback=True), seen=seen).reasons == ()
    alone = _seen(provider=replace(PROVIDER, nodes_elsewhere=()))
    assert _report(seen=alone).verdict == "pass"


def test_an_interface_fails_by_itself_or_where_it_has_to_be_the_same() -> None:
    strict = replace(REQUEST, strict_interface=True)
    said = ("fail", ["output 'z' is called 'y' in the reference"], ["output_renamed"])
    assert _report(interface=(INTERFACE,)).verdict == "pass"
    assert _said(_report(strict, interface=(INTERFACE,))) == said
    assert _said(_report(interface=(replace(INTERFACE, fails=True),))) == said


def test_faults_fail_and_doubts_do_not() -> None:
    seen = _seen(faults=[Reason("it is broken", "broken")], doubts=["it is random"])
    assert _said(_report(seen=seen)) == (
        "fail", ["it is broken", "it is random"], ["broken", None]
    )  # fmt: skip
    assert _report(seen=_seen(doubts=["it is random"])).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            (),
            "there is no PReLU on either side; use --allow-no-prelu if equal outputs are enough",
        ),
        (
            (replace(LAYER, found="additional"), replace(LAYER, name="b", found="additional")),
            "the reference shows no PReLU, and the candidate has 2: no slope was compared; use "
            "--allow-no-prelu if equal outputs are enough",
        ),
    ],
)
def test_without_a_layer_to_compare_nothing_is_proven(
    layers: tuple[LayerParity, ...], words: str
) -> None:
    assert _said(_report(layers=layers)) == ("inconclusive", [words], [None])
    assert _report(replace(REQUEST, allow_no_prelu=True), layers=layers).verdict == "pass"


def test_an_additional_layer_that_fails_is_reason_enough() -> None:
    wrong = replace(WRONG, found="additional", node=None)
    assert _report(layers=(wrong,)).reasons == ("a: it is off",)
    assert _report(layers=(replace(LAYER, found="additional"), LAYER)).verdict == "pass"
