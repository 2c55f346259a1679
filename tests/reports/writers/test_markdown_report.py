"""Markdown as GitHub reads it: a parser has to give back what was put in."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest
from made_results import (
    HOSTILE,
    assert_gold,
    compared,
    examined,
    exported,
    layer,
    model,
    usual,
    verified,
)
from markdown_it import MarkdownIt

from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.markdown import render

NASTY = [HOSTILE, "a|b", "a`b``c", "`a`", "*a* _b_ ~c~", "[a](b)", "a\\|b", "line\nbreak", "&lt;"]


def _html(result: Result) -> str:
    text = render(result, Style())
    return str(MarkdownIt("commonmark").enable("table").render(text))


def _text(part: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", part))


def _rows(page: str) -> list[list[str]]:
    rows = re.findall("<tr>(.*?)</tr>", page, re.DOTALL)
    return [[_text(c) for c in re.findall("<t[dh].*?>(.*?)</t[dh]>", row)] for row in rows]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("inspect", usual()),
        ("compare", compared()),
        ("verify", verified()),
        ("export", exported(verified())),
        ("doctor", examined()),
    ],
)
def test_each_command(name: str, result: Result) -> None:
    assert_gold(f"{name}.md", render(result, Style(others=True, slopes=True)))


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_a_name_whatever_is_in_it(name: str) -> None:
    finding = Finding("uniform", "info", f"in {name} it is", name)
    page = _html(model(layer(name, [0.5]), layer("b", [0.1]), findings=[finding], path=name))
    shown = name.replace("\n", "\\n")
    assert _rows(page)[1][0] == shown
    assert len({len(row) for row in _rows(page)}) == 1
    assert _text(page.splitlines()[0]) == shown
    assert f"info uniform in {shown}: in {shown} it is" in _text(page)
    assert not re.search("<(img|a|em|script)", page)


def test_a_table_has_as_many_cells_in_each_row() -> None:
    for result in (usual(), compared(), verified(), exported(), examined()):
        for block in render(result, Style(others=True)).split("\n\n"):
            if block.startswith("|"):
                bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
                assert len(bars) == 1


def test_nobody_is_called() -> None:
    text = render(model(findings=[Finding("x", "info", "ask @team, not me@home")]), Style())
    assert "@team" not in text
    assert "me@home" in text


def test_an_export_that_was_not_verified_says_so() -> None:
    assert "**not verified**" in render(exported(), Style())
    assert "FAIL" in render(exported(verified()), Style())


def test_the_worst_finding_comes_first() -> None:
    found = re.findall(r"^- \*\*(\w+)\*\* ([a-z\\_]+)", render(usual(), Style()), re.MULTILINE)
    codes = [code.replace("\\", "") for _, code in found]
    assert codes == ["slope_rank", "at_init", "one_slope", "quantizer"]


def test_a_check_says_what_else_was_found_and_what_of_it_failed() -> None:
    page = _html(verified())
    said = _text(page)
    assert said.count("special values: inf with slope 0.25") == 1
    for fact in (
        "power 0.97: the checks caught 35 of 36",
        "escaped: act1[3]",
        "agree within",
        "note: the reference",
    ):
        assert fact in said
    outputs, layer = _rows(page)[1], _rows(page)[4]
    assert outputs[2:] == ["1.50e-07", "2.2x", "1.2e-07", "2.50e-03", "93.8%", "4", "fail"]
    assert layer[1:] == ["differ", "1,234 ulp", "0.250", "50%", "0", "fail"]


def test_a_layer_whose_slopes_are_equal_says_what_else_is_wrong() -> None:
    (candidate,) = verified().candidates
    wrong = LayerParity("act", True, "used twice", None, None, None, "fail")
    bare = LayerParity("other", False, None, None, None, None, "fail")
    changed = dataclasses.replace(candidate, layers=(wrong, bare), reasons=("act: used twice",))
    page = _html(dataclasses.replace(verified(), candidates=(changed,)))
    assert [row[1] for row in _rows(page)[3:]] == ["equal", "differ"]
    assert "act: used twice" in _text(page)
    assert "isolated: error of the layer" not in page
    assert "isolated: error of the layer" in _html(verified())
