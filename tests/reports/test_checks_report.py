"""Many checks in each format: the worst of each, the verdict over all, and nothing unseen."""

from __future__ import annotations

import dataclasses
import json
import math
from xml.etree import ElementTree

import pytest
from made_checks import checks_of, entry_of, many_checks, passing
from made_results import HOSTILE, assert_gold, verified

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchEntry
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.result import Coverage
from prelu_tools.reports import Style, render
from prelu_tools.reports.sentences import coverage_share, worst_difference


@pytest.mark.parametrize(
    ("form", "suffix"), [("table", "txt"), ("markdown", "md"), ("junit", "junit.xml")]
)
def test_the_whole_report(form: str, suffix: str) -> None:
    assert_gold(f"checks.{suffix}", render(many_checks(), form, Style()))


@pytest.mark.parametrize("width", [20, 80])
def test_the_table_fits(width: int) -> None:
    long = "some/folder/of/models/" * 5
    entry = dataclasses.replace(entry_of(long, None), candidates=(long, long))
    text = render(checks_of(entry), "table", Style(width=width))
    head = text.partition("\nINCONCLUSIVE")[0]
    assert max(map(len, head.splitlines())) <= 80
    assert "error" in head


def test_names_that_are_references_are_shown_once() -> None:
    text = render(checks_of(entry_of("nets.py:Net", passing()), path="a.toml"), "table", Style())
    assert text.count("nets.py:Net") == 1
    assert "check" not in text.partition("──")[0]
    assert "PASS  a.toml: 1 check, 1 passed" in text


def test_each_candidate_of_a_check_has_figures_of_its_own() -> None:
    (good,), (bad,) = passing().candidates, verified().candidates
    bad = dataclasses.replace(bad, model="folder/other.onnx", power=None)
    two = dataclasses.replace(verified(), candidates=(good, bad))
    text = render(checks_of(entry_of("digits", two)), "table", Style())
    first, second = (line.split() for line in text.partition("─\n")[2].splitlines()[:2])
    assert first == ["digits", "nets.py:Net", "net.onnx", "1.50e-07", "86%", "0.97", "pass"]
    assert second == ["folder/other.onnx", "1.50e-07", "-", "fail"]


def test_the_json_has_each_document_with_its_name() -> None:
    document = json.loads(render(many_checks(), "json", Style()))
    alone = json.loads(render(verified(), "json", Style()))
    failed, lost = document["models"][1:]
    assert (failed["name"], failed["status"]) == ("faces, aligned", "fail")
    assert failed["document"] == alone
    assert (failed["reasons"], failed["reason_codes"]) == (alone["reasons"], alone["reason_codes"])
    assert (lost["path"], lost["file"], lost["line"]) == ("gone.keras", "prelu-tools.toml", 30)
    assert lost["document"] is None
    assert lost["error"] == "gone.keras cannot be read: no such file"
    assert (document["status"], document["list"]) == ("fail", "prelu-tools.toml")
    assert document["summary"] == {"pass": 1, "fail": 1, "inconclusive": 0, "error": 1}


def test_the_suites_are_those_of_each_check_and_counted_once() -> None:
    root = ElementTree.fromstring(render(many_checks(), "junit", Style()))
    assert [suite.get("name") for suite in root] == [
        *("digits: net.onnx[cpu]", "faces, aligned: net.onnx[cpu]"),
        *("faces, aligned: net.onnx[cpu and openvino]", "lost"),
    ]
    for suite in root:
        assert {case.get("classname") for case in suite.iter("testcase")} == {suite.get("name")}
    for element in (root, *root):
        assert int(element.attrib["tests"]) == len(list(element.iter("testcase")))
        assert int(element.attrib["errors"]) == len(list(element.iter("error")))
        assert int(element.attrib["failures"]) == len(list(element.iter("failure")))
    error = root[-1].find("testcase/error")
    assert error is not None
    assert error.get("message") == "gone.keras cannot be read: no such file"


@pytest.mark.parametrize("form", ["table", "markdown", "json", "junit"])
def test_no_checks_at_all_do_not_look_like_a_pass(form: str) -> None:
    text = render(checks_of(path="a.toml"), form, Style())
    assert "PASS" not in text
    if form == "junit":
        assert ElementTree.fromstring(text).get("errors") == "1"
    if form in ("table", "markdown"):
        assert "INCONCLUSIVE" in text
        assert "nothing was checked" in text


def test_whatever_is_in_a_name_it_is_text() -> None:
    name = f"{HOSTILE}|\x1b[2J"
    result = checks_of(BatchEntry(name, name, "error", None, (name,), (name,)))
    for form in ("table", "markdown", "junit"):
        assert "\x1b" not in render(result, form, Style())
    assert ElementTree.fromstring(render(result, "junit", Style()))[0].get("name") is not None


def test_other_formats_refuse() -> None:
    with pytest.raises(UsageError):
        render(many_checks(), "csv", Style())


def test_the_worst_difference() -> None:
    (candidate,) = passing().candidates
    (output,) = candidate.outputs

    def of(*values: float, n_values: int = 1) -> str:
        changes = ({"max_abs_diff": value, "n_values": n_values} for value in values)
        outputs = tuple(dataclasses.replace(output, **one) for one in changes)
        return worst_difference(
            passing(candidates=(dataclasses.replace(candidate, outputs=outputs),))
        )

    assert of() == "-"
    assert (of(1.0, 3.0, 2.0), of(0.0)) == ("3.00e+00", "0.00e+00")
    assert [of(*values) for values in ((1.0, math.nan), (math.nan, 1.0))] == ["nan"] * 2
    assert of(math.nan, n_values=0) == "-"  # of another shape: nothing was compared


def test_the_coverage_share_is_that_of_all_slopes() -> None:
    assert coverage_share(verified()) == 468 / 544
    assert coverage_share(passing(coverage=None)) is None
    assert coverage_share(passing(coverage=Coverage(0, 0, ()))) is None


_WEAK = (
    "slopes_initial", "record_is_stale", "candidate_of_other_version", "sizes_not_checked",
    "size_fixed", "sizes_disagree",
)  # fmt: skip


@pytest.mark.parametrize("code", [*_WEAK, "input_domain", None])
def test_what_makes_a_pass_prove_less_is_in_the_table(code: str | None) -> None:
    weak = passing(notes=(Reason(f"less is {HOSTILE}proven", code),))
    result = checks_of(entry_of("weak", weak), entry_of("strong", passing(), 2))
    assert result.exit_code == 0
    for form in ("table", "markdown", "html"):
        text = render(result, form, Style()).partition("<details")[0]
        assert ("less is" in text) == (code in _WEAK)
        assert "\x1b" not in text
        assert ("with warnings" in text) == (code in _WEAK)
    text = render(result, "table", Style())
    last = "prelu-tools.toml: 2 checks, "
    assert f"PASS  {last}{'1 passed, 1 with warnings' if code in _WEAK else '2 passed'}\n" in text
    assert ("warning  weak: less is" in text) == (code in _WEAK)


def test_a_failure_with_a_warning_stays_a_failure() -> None:
    failed = dataclasses.replace(verified(), notes=(Reason("less is proven", _WEAK[0]),))
    text = render(checks_of(entry_of("a", failed)), "table", Style())
    assert "FAIL  prelu-tools.toml: 1 check, 1 failed\n" in text
    assert "warning  a: less is proven" in text
    assert "with warnings" not in text
