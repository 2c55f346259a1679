"""What makes a pass prove less than it seems to is in every format, of one model and of a list."""

from __future__ import annotations

import dataclasses
import html
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from made_results import exported, optimized, usual, verified
from test_checks_report import checks_of, entry_of

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.reasons import RECORD_NOT_CHECKED, WARNINGS, Reason
from prelu_tools.core.results.verification.parity import InterfaceDifference
from prelu_tools.reports import Result, Style, formats_of, render
from prelu_tools.reports.writers.json import one_line

_CODE = "record_is_stale"
_SAID = "less is proven"
_NOTES = (Reason("other", "input_domain"), Reason(_SAID, _CODE), "plain")
_FAILED = dataclasses.replace(verified(), notes=_NOTES)
_PASSED = dataclasses.replace(_FAILED, verdict="pass", reasons=(), candidates=(), agreements=())


@pytest.mark.parametrize("form", [*formats_of("verify"), "notebook"])
@pytest.mark.parametrize("found", [_PASSED, _FAILED])
def test_every_format_of_a_check_and_of_a_list_says_it(form: str, found: Any) -> None:
    for result in (found, checks_of(entry_of("net", found, 7))):
        told = render(result, form, Style())
        untold = render(_told(result, "input_domain"), form, Style())
        assert _SAID in told
        assert _MARKS[form] in told.replace("::error", "")
        assert told.count(_MARKS[form]) > untold.count(_MARKS[form])


@pytest.mark.parametrize("form", [*formats_of("verify"), "notebook"])
def test_a_warning_that_is_the_reason_of_a_failure_is_shown_once(form: str) -> None:
    why = f"{_SAID} (strict)"
    strict = dataclasses.replace(_PASSED, verdict="fail", reasons=(Reason(why, "has_warnings"),))
    for result in (strict, checks_of(entry_of("net", strict, 7))):
        told = render(result, form, Style())
        assert why in told
        assert form == "json" or _MARKS[form] not in told


@pytest.mark.parametrize("form", ["table", "markdown", "html", "github"])
def test_a_list_names_the_records_that_could_not_be_compared_with_their_models(form: str) -> None:
    unknown = dataclasses.replace(_PASSED, notes=(Reason("unknown", RECORD_NOT_CHECKED),))
    first = entry_of("first", unknown)
    more = (entry_of("b", unknown), entry_of("c", _PASSED))
    for others, which in (
        ((), "first: the model is not here, so whether the record is"),
        (more, "first, b: the models are not here, so whether the records are"),
    ):
        text = " ".join(render(checks_of(first, *others), form, Style()).split())
        assert f"{which} up to date was not checked" in text
    assert "up to date was not" not in render(checks_of(entry_of("c", _PASSED)), form, Style())


@pytest.mark.parametrize("form", ["table", "markdown", "html", "github"])
def test_a_list_shows_how_interfaces_differ(form: str) -> None:
    def found(*names: str, reasons: tuple[str, ...] = ()) -> Any:
        each = tuple(InterfaceDifference("input", n, "input_renamed", n, "wave") for n in names)
        report = dataclasses.replace(_FAILED.candidates[0], interface=each, reasons=reasons)
        return entry_of("net", dataclasses.replace(_PASSED, candidates=(report,)))

    def told(entry: Any) -> str:
        text = html.unescape(render(checks_of(entry, entry_of("b", _PASSED)), form, Style()))
        return " ".join(text.split())

    words = "input 'wave' is called 'x' in the reference"
    assert told(found("x")).count(f"interface: net: {words}") == 1
    assert "interface: net" not in told(found("x", reasons=(words,)))  # said already
    many = told(found(*map(str, range(12))))
    assert many.count("interface: net") == 10
    assert "interface: and 2 more differences: see the JSON" in many


_MARKS = {
    "table": "warning  ",
    "markdown": "**warning**",
    "html": 'class="verdict warning"',
    "notebook": 'class="verdict warning"',
    "json": _CODE,
    "junit": f'<skipped message="{_SAID}"',
    "github": "::warning ",
    "sarif": '"level": "warning"',
}
"""What marks it in each format: a new format needs its own."""


def _told(result: Any, code: str) -> Result:
    """The same with another code in place of the warning's."""
    if isinstance(result, BatchResult):
        (entry,) = result.entries
        text = (entry.text or "").replace(_CODE, code)
        return dataclasses.replace(result, entries=(dataclasses.replace(entry, text=text),))
    notes = tuple(Reason(note, code) for note in result.notes)
    return dataclasses.replace(result, notes=notes)  # type: ignore[no-any-return]


def test_a_program_finds_it_in_the_result_and_in_its_document() -> None:
    assert _PASSED.warnings == (_SAID,)
    batch = checks_of(entry_of("net", _PASSED), entry_of("lost", None))
    assert [entry.warnings for entry in batch.entries] == [(_SAID,), ()]
    found = json.loads(render(batch, "json", Style()))["models"]
    assert [one["warnings"] for one in found] == [[_SAID], []]
    assert found[0]["document"]["warnings"] == [_SAID]


def test_in_junit_it_is_a_case_of_its_own_under_its_code() -> None:
    for result, name in ((_PASSED, "nets.py:Net"), (checks_of(entry_of("a", _FAILED)), "a: nets")):
        root = ElementTree.fromstring(render(result, "junit", Style()))
        (case,) = root.iterfind(f".//testcase[@name='{_CODE}']")
        assert case.get("classname", "").startswith(name)
        assert [part.tag for part in case] == ["skipped"]
        assert root.get("skipped") == str(len(list(root.iter("skipped"))))


def test_a_suite_of_a_job_that_is_named_like_its_reference_has_the_name_once() -> None:
    found = checks_of(entry_of("nets.py:Net", _PASSED))
    root = ElementTree.fromstring(render(found, "junit", Style()))
    assert [suite.get("name") for suite in root] == ["nets.py:Net"]


def test_in_sarif_it_is_a_warning_about_the_reference() -> None:
    for result in (_PASSED, checks_of(entry_of("a", _PASSED))):
        (run,) = json.loads(render(result, "sarif", Style()))["runs"]
        (one,) = run["results"]
        assert (one["ruleId"], one["level"], one["message"]["text"]) == (_CODE, "warning", _SAID)


@pytest.mark.parametrize("form", ["table", "markdown", "html", "json"])
def test_what_another_command_verified_or_noted_is_said_too(form: str) -> None:
    fast = dataclasses.replace(optimized(), verification=_PASSED)
    written = dataclasses.replace(exported(), notes=_NOTES)
    for result in (fast, exported(_PASSED), written):
        assert result.warnings == (_SAID,)
        told = render(result, form, Style())
        assert _MARKS[form].replace(_CODE, '"warnings": [') in told
        assert form == "json" or told.count(_SAID) == 1
    text = one_line(written, Style())
    entry = BatchEntry("net.py:Net", "net.py:Net", "ok", text)
    told = render(BatchResult("export", (entry,)), form, Style())
    assert _SAID in told
    assert form == "json" or "with warnings" in told


def test_the_codes_are_known() -> None:
    assert _CODE in WARNINGS
    assert "input_domain" not in WARNINGS


def _inspected(form: str) -> str:
    entry = BatchEntry("nets/a.onnx", "nets/a.onnx", "ok", one_line(usual(), Style()))
    return render(BatchResult("inspect", (entry,)), form, Style())


def test_what_inspect_found_in_the_models_of_a_list_is_in_every_format_too() -> None:
    found = [one for one in usual().all_findings if one.severity != "info"]
    assert len(found) > 1
    text = _inspected("github")
    lines = [line for line in text.splitlines() if line.startswith("::")]
    assert len(lines) == len(found)
    assert all("file=nets/a.onnx," in line for line in lines)
    (run,) = json.loads(_inspected("sarif"))["runs"]
    codes = [(one["ruleId"], one["message"]["text"]) for one in run["results"]]
    assert codes == [(one.code, one.message) for one in usual().all_findings]
    (case,) = ElementTree.fromstring(_inspected("junit")).iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    errors = [one.code for one in found if one.severity == "error"]
    assert all(code in failure.get("message", "") for code in errors)
