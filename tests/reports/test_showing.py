"""How results show themselves: a line, a table, and HTML that a notebook can hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from IPython.lib.pretty import pretty
from made_results import compared, exported, optimized, usual, verified
from parsed_html import ParsedPage

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.result import VerdictError
from prelu_tools.reports import Style, render

HOSTILE = "<img src=x onerror=alert(1)>|**b** [a](javascript:alert(1))"


def _results() -> list[Any]:
    return [usual(), compared(), verified(), exported(verified()), optimized()]


def _kind(result: object) -> str:
    return type(result).__name__


@pytest.mark.parametrize("result", _results(), ids=_kind)
def test_printing_a_result_shows_the_command_s_table(result: Shown) -> None:
    assert f"{result}\n" == render(result, "table", Style())  # type: ignore[arg-type]
    assert pretty(result) == str(result)


@pytest.mark.parametrize("result", _results(), ids=_kind)
def test_a_result_among_others_is_one_line(result: Shown) -> None:
    assert "\n" not in repr(result)
    assert repr(result).startswith(f"<{_kind(result)} ")
    assert repr(result) in pretty([result])


@pytest.mark.parametrize("result", _results(), ids=_kind)
def test_a_notebook_shows_tables_and_no_headings(result: Shown) -> None:
    found = ParsedPage(result._repr_html_())
    assert "table" in found.names
    assert "layer" in found.cells
    assert {"h1", "h2", "h3", "h4", "script"} & set(found.names) == set()


def test_the_bar_beside_it_has_the_colour_of_the_verdict() -> None:
    failed = verified()
    assert failed.verdict == "fail"
    assert "#c62828" in failed._repr_html_()
    assert "#c62828" in exported(failed)._repr_html_()
    assert "#2e7d32" in replace(failed, verdict="pass")._repr_html_()
    assert "#9e9e9e" in usual()._repr_html_()


def test_names_in_a_notebook_are_text() -> None:
    layer = usual().layers[0]
    hostile = replace(
        usual(),
        path=HOSTILE,
        notes=(HOSTILE,),
        layers=(replace(layer, layer=replace(layer.layer, name=HOSTILE)),),
    )
    found = ParsedPage(hostile._repr_html_())
    assert {"img", "a", "script"} & set(found.names) == set()
    assert any("<img src=x" in cell for cell in found.cells)


def test_reports_are_those_of_the_command() -> None:
    for form in ("json", "markdown", "junit"):
        assert verified().report(form) == render(verified(), form, Style())
    with pytest.raises(UsageError, match="'plot' is not a valid format: expected one of"):
        usual().report("plot")
    with pytest.raises(UsageError, match="csv has one row for each layer"):
        verified().report("csv")


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_what_did_not_pass_is_false_and_raises(verdict: Any) -> None:
    result = replace(verified(), verdict=verdict, reasons=("act2: channels 3 and 7 swapped",))
    assert not result
    with pytest.raises(VerdictError, match=f"^{verdict}: .*channels 3 and 7 swapped") as caught:
        result.raise_for_verdict()
    assert caught.value.result is result


def test_what_passed_is_true_and_comes_back() -> None:
    result = replace(verified(), verdict="pass", reasons=())
    assert result
    assert result.raise_for_verdict() is result
