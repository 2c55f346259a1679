"""The page of `verify`: whole, of one file, without a script; and a hostile name is text in it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from made_checks import checks_of, hostile, many_checks, passing
from made_pages import many, two
from made_results import HOSTILE, compared, examined, exported, optimized, usual, verified
from parsed_html import ParsedPage

from prelu_tools.core.results.verification.result import BaselineReport, VerifyResult
from prelu_tools.reports import Result, Style, render


def _html(result: Result) -> str:
    return render(result, "html", Style())


def _page(result: Result) -> ParsedPage:
    return ParsedPage(_html(result))


def test_the_page_has_what_the_table_has() -> None:
    text = " ".join(_page(verified()).text)
    for reason in verified().candidates[0].reasons:
        assert text.count(reason) == 1
    for output in verified().candidates[0].outputs:
        assert f"{output.max_abs_diff:.2e}" in text
    for layer in verified().candidates[0].layers:
        assert layer.name in text
    assert "planted in a copy" in text


def test_each_check_has_a_row_and_its_details_open_where_it_did_not_pass() -> None:
    page = _page(many_checks())
    details = [attrs for tag, attrs in page.tags if tag == "details"]
    assert [(one["id"], "open" in one) for one in details if "id" in one] == [
        ("check-1", False), ("check-2", True), ("check-3", True),
    ]  # fmt: skip
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == [
        "#check-2", "#check-3",  # those that did not pass come before the table
        "#check-1", "#check-2", "#check-3",
    ]  # fmt: skip
    text = "".join(page.text)
    assert text.index("act2: channels 3 and 7 swapped") < text.index("digits")
    assert "gone.keras cannot be read: no such file" in page.text


def test_models_with_errors_are_counted_apart_from_those_without_a_result() -> None:
    text = " ".join(_page(many("inspect")).text)
    assert "3 models, 1 ok, 1 with errors, 1 without a result" in text


def test_no_checks_do_not_look_like_a_pass() -> None:
    text = " ".join(_page(checks_of(path="a.toml")).text)
    assert "a.toml: 0 checks, nothing was checked" in text
    assert "inconclusive" in text
    assert "pass" not in text


def test_what_a_baseline_says_is_there() -> None:
    held = dataclasses.replace(verified(), baseline=BaselineReport("b.json", "pass", 2.0, 6))
    assert "baseline b.json: 0 of 6 figures worse by more than a factor of 2" in _page(held).text


def _with_output(**fields: object) -> VerifyResult:
    (candidate,) = verified().candidates
    output = dataclasses.replace(candidate.outputs[0], **fields)  # type: ignore[arg-type]
    changed = dataclasses.replace(candidate, outputs=(output,))
    return dataclasses.replace(verified(), candidates=(changed,))


@pytest.mark.parametrize(
    ("fields", "bars"),
    [
        ({"verdict": "fail", "worst_of_rounding": 40.0}, ["over", "100%"]),
        ({"verdict": "pass", "worst_of_rounding": 4.0}, ["", "25%"]),
        ({"verdict": "pass"}, []),
        ({"verdict": "pass", "max_abs_diff": 6e-8}, ["", "50%"]),
        ({"verdict": "fail"}, ["over", "100%"]),
    ],
)
def test_a_bar_is_full_only_where_an_output_fails(fields: dict[str, Any], bars: list[str]) -> None:
    (row,) = re.findall(r"<tr><td[^>]*><code[^>]*>y</code>.*?</tr>", _html(_with_output(**fields)))
    drawn = re.findall(r'class="bar ?(\w*)"><i style="width:(\d+%)"', row)
    assert [part for bar in drawn for part in bar] == bars


def test_each_value_has_its_own_limit_or_all_have_one() -> None:
    assert "(limit 16x)" in _html(_with_output(worst_of_rounding=4.0))
    assert ">limit<" not in _html(_with_output(worst_of_rounding=4.0))
    assert ">limit<" in _html(verified())


def test_nodes_have_a_column_where_they_are_not_called_like_the_layers() -> None:
    (candidate,) = verified().candidates
    assert ">node<" not in _html(verified())
    renamed = dataclasses.replace(candidate.layers[0], node="/act1/PRelu")
    changed = dataclasses.replace(candidate, layers=(renamed,))
    page = _html(dataclasses.replace(verified(), candidates=(changed,)))
    assert ">node<" in page
    assert "/act1/PRelu" in page


def test_several_candidates_have_their_reasons_in_the_first_table() -> None:
    page = _html(two())
    first = page.partition("<table>")[2].partition("</table>")[0]
    assert "act2: channels 3 and 7 swapped (and 1 more reason)" in first


@pytest.mark.parametrize("number", [0, 1])
def test_whatever_is_in_a_name_it_is_text(number: int) -> None:
    page = _page(hostile()[number])
    tags = set(page.names)
    assert tags & {"img", "iframe", "object", "form"} == set()
    assert page.names.count("script") == number  # to sort and to search a list
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    assert any(HOSTILE in text for text in page.text)
    assert "\x1b" not in "".join(page.text)


@pytest.mark.parametrize(
    ("result", "scripts"), [(verified(), 0), (passing(), 0), (many_checks(), 1)]
)
def test_nothing_is_fetched_and_no_script_of_others_may_run(result: Result, scripts: int) -> None:
    page = _page(result)
    assert "default-src 'none'" in page.policy
    assert page.policy.count("script-src 'sha256-") == page.policy.count("script") == scripts
    places = [a[key] for _, a in page.tags for key in ("href", "src") if key in a]
    assert all(place and place.startswith(("#", "data:")) for place in places)
    assert render(result, "html", Style()) == render(result, "html", Style())


@pytest.mark.parametrize("result", [compared(), exported(), optimized(), examined(), usual()])
def test_every_result_is_a_page(result: Result) -> None:
    assert _page(result).text
