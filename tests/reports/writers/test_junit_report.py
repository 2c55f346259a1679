"""JUnit's XML: every verdict has a case that shows it, and nothing passes unseen."""

from __future__ import annotations

import dataclasses
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from made_results import (
    HOSTILE,
    assert_gold,
    compared,
    exported,
    layer,
    model,
    usual,
    verified,
)

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.verification.candidate import CandidateReport, Power
from prelu_tools.core.results.verification.parity import OutputParity
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Style, formats_of, render


def _parsed(result: VerifyResult) -> Element:
    return ElementTree.fromstring(render(result, "junit", Style()))


def _with(result: VerifyResult | None = None, **changes: Any) -> VerifyResult:
    """The result with its only candidate changed."""
    result = verified() if result is None else result
    candidate = dataclasses.replace(result.candidates[0], **changes)
    return dataclasses.replace(result, candidates=(candidate,))


def _passed(**changes: Any) -> VerifyResult:
    """A result without a fault, with its candidate and then itself changed."""
    failed = verified()
    output = dataclasses.replace(
        *failed.candidates[0].outputs, verdict="pass", n_mismatched=0, n_nonfinite_mismatch=0
    )
    layers = failed.candidates[0].layers[:1]
    good: dict[str, Any] = {"outputs": (output,), "layers": layers, "special": (), "reasons": ()}
    result = _with(failed, verdict="pass", **good)
    return dataclasses.replace(result, verdict="pass", reasons=(), **changes)


def _of(root: Element, tag: str) -> list[str]:
    """The names of the cases that have such a part."""
    found = [case for case in root.iter("testcase") if case.find(tag) is not None]
    return [case.get("name", "") for case in found]


def _message(root: Element, path: str) -> str:
    element = root.find(path)
    assert element is not None
    return element.attrib["message"]


def test_the_whole_document() -> None:
    assert "junit" in formats_of("verify")
    assert_gold("verify.junit.xml", render(verified(), "junit", Style()))


def test_a_case_for_each_part_and_a_suite_for_each_candidate_and_provider() -> None:
    root = _parsed(verified())
    assert [suite.get("name") for suite in root] == ["net.onnx[cpu]", "net.onnx[cpu and openvino]"]
    cases = list(root[0].iter("testcase"))
    assert {case.get("classname") for case in cases} == {"net.onnx[cpu]"}
    assert [case.get("name") for case in cases] == [
        *("act1", "act2", "act3", "output y", "coverage", "power", "special values")
    ]
    assert all("time" not in element.attrib for element in root.iter())


def test_what_failed_and_what_is_in_doubt() -> None:
    root = _parsed(verified())
    assert _of(root, "failure") == ["act2", "output y", "special values"]
    assert _of(root, "error") == ["act3"]
    assert _of(root, "skipped") == []
    message = _message(root, ".//testcase[@name='act2']/failure")
    assert message == "act2: channels 3 and 7 swapped"
    assert "isolated: 1,234 ulp" in "".join(root.itertext())
    special = _message(root, ".//testcase[@name='special values']/failure")
    assert "1e+30 in relu_neg" in special
    assert "-0.0" not in special


def test_the_counts_are_of_what_is_there() -> None:
    root = _parsed(verified())
    for suite in (root, *root):
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(_of(suite, tag))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("8", "3", "1")


def test_a_pass_has_neither_failure_nor_error() -> None:
    root = _parsed(_passed())
    assert len(list(root.iter("testcase"))) == 6
    assert _of(root, "failure") == _of(root, "error") == []


@pytest.mark.parametrize("verdict", ["pass", "inconclusive"])
def test_a_candidate_of_which_nothing_was_compared_is_an_error(verdict: str) -> None:
    root = _parsed(_with(layers=(), outputs=(), verdict=verdict, reasons=("no such file",)))
    assert [case.get("name") for case in root[0]] == ["verdict"]
    assert _message(root[0], "testcase/error") == "no such file"


def test_a_result_without_candidates_is_an_error() -> None:
    root = _parsed(_passed(candidates=(), agreements=()))
    assert _of(root, "error") == ["verdict"]
    assert _message(root, ".//error") == "nothing was compared"
    assert root.get("errors") == "1"


def test_a_verdict_that_no_part_shows_has_a_case_of_its_own() -> None:
    reasons = ("cuda: 3 nodes ran on CPUExecutionProvider",)
    doubtful = _with(_passed(), verdict="inconclusive", reasons=reasons)
    root = _parsed(dataclasses.replace(doubtful, verdict="inconclusive"))
    assert _of(root, "error") == ["verdict"]
    assert _message(root, ".//error") == reasons[0]


def test_an_output_in_doubt_is_no_pass() -> None:
    doubt = "output 'y' had the same value for all inputs"
    outputs = tuple(
        dataclasses.replace(one, doubt=doubt, difference=None)
        for one in _passed().candidates[0].outputs
    )
    doubtful = _with(_passed(), verdict="inconclusive", reasons=(doubt,), outputs=outputs)
    root = _parsed(dataclasses.replace(doubtful, verdict="inconclusive"))
    assert (_of(root, "error"), _message(root, ".//error")) == (["output y"], doubt)


def test_a_gate_that_failed_has_a_suite_of_its_own_also_beside_other_failures() -> None:
    gate = "468 of 544 slopes were reached; --min-coverage 1.0 requires more"
    for result in (_passed(), verified()):
        failed = dataclasses.replace(result, verdict="fail", reasons=(*result.reasons, gate))
        suite = _parsed(failed).findall("testsuite")[-1]
        assert suite.get("name") == "nets.py:Net"
        assert _message(suite, "testcase/failure") == gate


def test_providers_that_differ_fail() -> None:
    output = OutputParity("y", (1,), 0.5, 1.0, 1, 0, "fail")
    agreement = dataclasses.replace(*verified().agreements, outputs=(output,), verdict="fail")
    result = _passed(agreements=(agreement,))
    root = _parsed(dataclasses.replace(result, verdict="fail"))
    assert _of(root, "failure") == ["output y"]
    empty = dataclasses.replace(agreement, outputs=(), verdict="pass")
    assert _of(_parsed(dataclasses.replace(result, agreements=(empty,))), "error") == ["verdict"]


@pytest.mark.parametrize(
    ("power", "skipped"),
    [
        (None, ["power"]),
        (Power(0, 0, 0, 0, (), 8, sampled=False), ["power"]),
        (Power(8, 8, 8, 8, (), 0, sampled=False), []),
    ],
)
def test_power_that_was_not_measured_is_skipped(power: Power | None, skipped: list[str]) -> None:
    assert _of(_parsed(_with(_passed(), power=power)), "skipped") == skipped


def test_special_values_of_no_layer_are_skipped() -> None:
    assert _of(_parsed(_with(_passed(), layers=())), "skipped") == ["special values"]


def test_coverage_of_nothing_is_skipped() -> None:
    coverage = dataclasses.replace(verified().coverage, exercised=0)  # type: ignore[type-var]
    for found in (None, coverage):
        assert _of(_parsed(_passed(coverage=found)), "skipped") == ["coverage"]


def test_whatever_is_in_a_name_it_is_xml_and_the_name() -> None:
    name = f"{HOSTILE}]]>&\x00\x1b\ud800\uffff\"'"
    named = dataclasses.replace(verified().candidates[0].layers[1], name=name, difference=name)
    changes: dict[str, Any] = {"model": name, "layers": (named,), "reasons": (name,)}
    root = _parsed(dataclasses.replace(_with(**changes), reasons=(name,), reference=name))
    shown = f"{HOSTILE}]]>&\\x00\\x1b\\ud800\\uffff\"'"
    assert root[0].get("name") == f"{shown}[cpu]"
    assert next(root.iter("testcase")).get("name") == shown
    assert _message(root, ".//failure") == shown


def test_a_candidate_without_a_provider_is_named_by_its_model() -> None:
    report: CandidateReport = _with(provider=None).candidates[0]
    root = _parsed(dataclasses.replace(verified(), candidates=(report,)))
    assert root[0].get("name") == "net.onnx"


def test_of_a_model_each_layer_is_a_case_and_a_warning_is_no_pass() -> None:
    root = ElementTree.fromstring(render(usual(), "junit", Style()))
    assert [case.get("name") for case in root.iter("testcase")] == [
        *("model", "stem.act", "b.act", "c|d")
    ]
    assert (_of(root, "failure"), _of(root, "skipped")) == (["c|d"], ["b.act"])
    message = _message(root, ".//testcase[@name='b.act']/skipped")
    assert message == "warning at_init: all slopes are 0.25"
    assert (root.get("failures"), root.get("skipped"), root.get("errors")) == ("1", "1", "0")


def test_what_a_gate_says_no_to_is_a_failure() -> None:
    quiet = model(layer("a", [0.5, 0.6]))
    assert _of(ElementTree.fromstring(render(quiet, "junit", Style())), "failure") == []
    failed = dataclasses.replace(quiet, failures=("net.onnx has 1 PReLU layers; expected 2",))
    root = ElementTree.fromstring(render(failed, "junit", Style()))
    assert _message(root, ".//testcase[@name='gates']/failure") == failed.failures[0]


def test_two_models_are_two_suites() -> None:
    root = ElementTree.fromstring(render(compared(), "junit", Style()))
    assert [suite.get("name") for suite in root] == ["a.onnx", "b.onnx"]


def test_times_are_those_of_the_candidates_and_of_all() -> None:
    timed = dataclasses.replace(_with(seconds=1.25), seconds=2.5)
    root = _parsed(timed)
    assert [root.get("time"), root[0].get("time")] == ["2.500", "1.250"]
    of_cases = [float(case.attrib["time"]) for case in root[0].iter("testcase")]
    assert sum(of_cases) == pytest.approx(1.25, abs=0.001)


def test_no_other_result_is_taken() -> None:
    with pytest.raises(UsageError, match="verify"):
        render(exported(), "junit", Style())
