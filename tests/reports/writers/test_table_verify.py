"""`export`, `verify` and `doctor` for people."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from made_results import assert_gold, examined, exported, usual, verified

from prelu_tools.core.results.verification.candidate import Power, ProviderReport
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.table import render


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
        reasons=(),
        special=(),
        power=Power(36, 36, 36, 34, (), 0, sampled=False),
    )
    return dataclasses.replace(
        failed, verdict="pass", candidates=(candidate,), reasons=(), agreements=(), notes=()
    )


def _both() -> VerifyResult:
    candidates = (*verified().candidates, *_passed().candidates)
    return dataclasses.replace(verified(), candidates=candidates)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("verify", verified()),
        ("verify_passed", _passed()),
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


def _changed(**changes: Any) -> VerifyResult:
    candidate = dataclasses.replace(verified().candidates[0], **changes)
    return dataclasses.replace(verified(), candidates=(candidate,))


def _lines(result: VerifyResult, start: str) -> list[str]:
    return [line for line in render(result, Style()).splitlines() if line.startswith(start)]


def test_no_line_is_wider_than_80_columns_with_names_of_real_models() -> None:
    (report,) = verified().candidates
    name = "backbone.layer4.2.residual_function.activation"
    layers = tuple(dataclasses.replace(one, name=f"{name}{one.name}") for one in report.layers)
    output = dataclasses.replace(report.outputs[0], name=name, shape=(16, 2048, 112, 112))
    for n_candidates in (1, 2, 4, 7):
        one = dataclasses.replace(report, layers=layers, outputs=(output,))
        result = dataclasses.replace(verified(), candidates=(one,) * n_candidates)
        text = render(result, Style(width=80))
        assert max(map(len, text.splitlines())) <= 80
        for number in ("1,234 ulp", "1.50e-07", "inconclusive" if n_candidates == 1 else "unknown"):
            assert number in text


def test_more_candidates_than_have_room_go_below_each_other() -> None:
    five = dataclasses.replace(verified(), candidates=verified().candidates * 5)
    heads = _lines(five, "layer ")
    assert [head.split()[2:] for head in heads] == [["[1]", "[2]", "[3]"], ["[4]", "[5]"]]


def test_columns_of_which_nothing_is_known_are_left_out() -> None:
    (output,) = verified().candidates[0].outputs
    bare = dataclasses.replace(output, top1_agreement=None, of_rounding=None)
    assert _lines(_changed(outputs=(bare,)), "output")[0].split()[2:] == [
        *("max", "abs", "diff", "limit", "wrong", "verdict")
    ]
    assert _lines(_changed(outputs=(bare,)), "y ")[0].split()[2:] == [
        "1.50e-07",
        "1.2e-07",
        *"4",
        "fail",
    ]
    bare = dataclasses.replace(bare, limit=None)
    assert "limit" not in _lines(_changed(outputs=(bare,)), "output")[0]


@pytest.mark.parametrize(
    ("coverage", "text"),
    [(None, "-"), (0.0, "0%"), (0.001, "<1%"), (0.29, "29%"), (0.9999, "99%"), (1.0, "100%")],
)
def test_all_are_reached_only_where_all_are(coverage: float | None, text: str) -> None:
    layer = LayerParity("act", True, None, None, None, coverage, "pass")
    (line,) = _lines(_changed(layers=(layer,)), "act ")
    assert line.split() == ["act", "equal", "-", "-", text, "-", "pass"]


def test_a_layer_that_fails_with_equal_slopes_is_not_called_equal_beside_others() -> None:
    layer = LayerParity("act", True, "used twice", None, 5, 1.0, "fail")
    good = dataclasses.replace(layer, verdict="pass", max_ulp_diff=0)
    doubt = dataclasses.replace(layer, verdict="inconclusive", max_ulp_diff=None)
    reports = tuple(_changed(layers=(one,)).candidates[0] for one in (layer, good, doubt))
    result = dataclasses.replace(verified(), candidates=reports)
    assert _lines(result, "act ") == ["act      100% fail / 5 ulp equal / 0 ulp unknown"]


def test_layers_that_were_not_tapped_need_no_legend() -> None:
    layer = LayerParity("act", True, None, None, None, 1.0, "pass")
    assert "isolated: error of the layer" not in render(_changed(layers=(layer,)), Style())
    assert "isolated: error of the layer" in render(verified(), Style())


def test_an_output_that_is_the_same_for_all_inputs_is_called_constant() -> None:
    legend = "verdict: constant if all inputs gave the same value, which proves nothing"
    output = OutputParity("y", (16, 10), 1.5e-7, 2.5e-3, 0, 0, "pass", doubt="it never changed")
    wrong = dataclasses.replace(output, name="z", verdict="fail")
    text = render(_changed(outputs=(output, wrong)), Style())
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(("y ", "z "))] == [
        "constant", "fail"
    ]  # fmt: skip
    assert legend in " ".join(text.split())
    assert "constant" not in render(_changed(outputs=(wrong,)), Style())


def test_lines_that_go_on_stand_further_in() -> None:
    reason = "net.onnx: " + "a word " * 20
    text = render(dataclasses.replace(verified(), reasons=(f"{reason}\nsecond",)), Style())
    last = text.splitlines()[-2:]
    assert [len(line) - len(line.lstrip()) for line in last][-1] == 4
    assert "\\nsecond" in text
    assert "second" not in [line.strip() for line in text.splitlines()]


def test_providers_that_differ_are_a_failure_in_colour() -> None:
    agreement = dataclasses.replace(*verified().agreements, verdict="inconclusive")
    result = dataclasses.replace(verified(), agreements=(agreement,))
    text = render(result, Style(colour=True))
    assert "\x1b[33mnet.onnx: cpu and openvino cannot be compared" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_name_is_broken_and_all_of_them_differ(width: int) -> None:
    (report,) = verified().candidates
    names = [f"module.backbone.layer{i}.residual_function.prelu" for i in range(30)]
    layers = tuple(dataclasses.replace(report.layers[0], name=name) for name in names)
    text = render(_changed(layers=layers), Style(width=width))
    (head,) = (line for line in text.splitlines() if line.startswith("layer "))
    start = text[text.index(head) :].splitlines()[2 : 2 + len(names)]
    shown = [line.split()[0] for line in start]
    assert len(set(shown)) == len(names)
    assert max(map(len, text.splitlines())) <= width
    if width == 140:
        assert shown == names
    else:
        assert all(("…" in name) or (name in names) for name in shown)


def test_many_reasons_are_counted_unless_details_are_asked_for() -> None:
    reasons = tuple(f"layer{i}: channels 0 and 1 swapped" for i in range(40))
    result = dataclasses.replace(_changed(reasons=reasons), reasons=())
    brief, full = render(result, Style()), render(result, Style(details=True))
    assert "layer11: " in brief
    assert "layer12: " not in brief
    assert "and 29 more: -v shows them" in brief
    assert "layer39: " in full
    assert "tolerance: " in full
    assert "tolerance: " not in brief


def test_details_of_several_candidates_are_each_in_full() -> None:
    brief, full = render(_both(), Style()), render(_both(), Style(details=True))
    assert "min hits" not in brief
    assert full.count("min hits verdict") + full.count("min hits      verdict") == 2
    assert " ".join(full.split()).count("min hits: negative values") == 1
    assert "power 0.97: the checks caught 35 of 36 slope faults" in full


@pytest.mark.parametrize(
    ("node", "verdict", "is_named"),
    [("/act/PRelu", "fail", True), ("/act/PRelu", "pass", False), ("act", "fail", False)],
)
def test_the_node_of_a_failing_layer_is_named(node: str, verdict: Verdict, is_named: bool) -> None:
    layer = LayerParity("act", False, "negated", None, 5, 1.0, verdict, node=node)
    (head,) = _lines(_changed(layers=(layer,)), "layer ")
    assert ("node" in head.split()) == is_named
    (row,) = (x for x in _lines(_changed(layers=(layer,)), "act ") if x.split()[-1] == verdict)
    assert ("/act/PRelu" in row) == is_named
