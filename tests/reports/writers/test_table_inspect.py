"""`inspect` for people: all that was seen, in 80 columns, without a word that steers a terminal."""

from __future__ import annotations

import dataclasses
import io
import math
import re

import numpy as np
import pytest
from made_results import assert_gold, compared, layer, model, usual
from rich.cells import cell_len
from rich.console import Console

from prelu_tools.core.results.inspection import Finding
from prelu_tools.reports import Style
from prelu_tools.reports.document import Column, Table
from prelu_tools.reports.writers.grid import grid
from prelu_tools.reports.writers.table import render

ESCAPE = "\x1b"


def _widest(text: str) -> int:
    """The widest line; a name that is longer than a line is not broken, and does not count."""
    return max(cell_len(re.sub(r"\S{80,}", "", line)) for line in text.splitlines())


def test_everything_of_a_model() -> None:
    assert_gold("inspect.txt", render(usual(), Style(others=True, slopes=True)))


def test_two_models() -> None:
    assert_gold("compare.txt", render(compared(), Style()))


def test_others_are_counted_and_shown_on_request_only() -> None:
    brief, full = render(usual(), Style()), render(usual(), Style(others=True))
    assert "3 PReLU layers, 13 slopes, 1 LeakyRelu, 1 Relu" in brief
    assert "relu_1" not in brief
    assert "relu_1" in full


def test_there_is_a_row_for_all_layers_where_there_are_several() -> None:
    row = next(line for line in render(usual(), Style()).splitlines() if line.startswith("all "))
    assert row.split()[1:] == ["13", "0.308", "0.447", "-0.500", "1.500", "8%", "8%"]
    two = render(model(layer("a", [0.5]), layer("b", [0.1])), Style())
    assert any(line.startswith("all  ") for line in two.splitlines())
    one = render(model(layer("a", [0.5])), Style())
    assert not any(line.startswith("all ") for line in one.splitlines())


def test_the_worst_finding_comes_first_and_each_names_its_layer() -> None:
    text = render(usual(), Style())
    found = re.findall(r"^(error|warning|info) (\w+)(.*?):", text, re.MULTILINE)
    assert found == [
        ("error", "slope_rank", " in c|d"),
        ("warning", "at_init", " in b.act"),
        ("info", "one_slope", " in c|d"),
        ("info", "quantizer", ""),
    ]


def test_what_is_about_no_layer_is_last_unless_it_is_a_warning() -> None:
    findings = [Finding("g", "info", "in general"), Finding("w", "warning", "a warning")]
    own = Finding("one", "info", "one slope", "a")
    lines = render(model(layer("a", 0.5, findings=[own]), findings=findings), Style()).splitlines()
    assert lines[-4:] == [
        "warning w: a warning",
        "info one in a: one slope",
        "",
        "info g: in general",
    ]


def test_a_finding_of_several_layers_is_said_once() -> None:
    reports = [
        layer(name, [0.25], findings=[Finding("at_init", "warning", "all 0.25", name)])
        for name in ("a", "b", "c")
    ]
    assert "warning at_init in a, b: all 0.25" in render(
        model(*reports[:2], layer("z", [0.5])), Style()
    )
    assert "warning at_init in all layers: all 0.25" in render(model(*reports), Style())


def test_health_that_nearly_all_layers_have_names_the_others() -> None:
    reports = [layer(f"a{i}", [-0.5]) for i in range(7)] + [layer("z", [0.5])]
    text = render(model(*reports), Style())
    assert "\n  some slopes below 0 (sign_flipping): all layers but z\n" in text
    assert "\n  all slopes between 0 and 1 (leaky): z\n" in text


def test_what_is_a_finding_of_a_layer_is_not_in_the_summary_too() -> None:
    found = layer("a", [0.25, 0.25], findings=[Finding("at_init", "warning", "all 0.25", "a")])
    text = render(model(found, layer("b", [0.25, 0.25])), Style())
    assert "(at_init): b\n" in text
    assert "(leaky): all layers\n" in text
    said = [Finding(word, "info", "it is", "a") for word in ("at_init", "leaky", "uniform")]
    alone = render(model(layer("a", [0.25, 0.25], findings=said)), Style())
    assert "Slope summary" not in alone


def test_usage_shows_only_where_data_was_given() -> None:
    text = render(usual(), Style())
    row = next(
        line for line in text.splitlines() if line.startswith("stem.act") and "12.5%" in line
    )
    assert row.split() == ["stem.act", "25.0%", "4", "1", "12.5%"]
    without = model(*(dataclasses.replace(report, usage=None) for report in usual().layers))
    assert "negative values" not in render(without, Style())


def test_no_escape_codes_without_colour_and_the_severities_in_theirs_with_it() -> None:
    assert ESCAPE not in render(usual(), Style())
    text = render(usual(), Style(colour=True))
    assert f"{ESCAPE}[1;31merror{ESCAPE}[0m slope_rank" in text
    assert f"{ESCAPE}[33mwarning{ESCAPE}[0m at_init" in text
    assert f"{ESCAPE}[36minfo{ESCAPE}[0m quantizer" in text


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\x9b2Jb", "a\rb", "a\u202eb", "a\udc80b"])
def test_nothing_in_a_name_steers_the_terminal(name: str) -> None:
    finding = Finding("uniform", "info", f"of {name}", name)
    result = model(layer(name, [0.5, 0.5], nodes=(name, name), findings=[finding]), path=name)
    text = render(result, Style(slopes=True))
    assert name[1] not in text
    assert text.encode("utf-8").decode("unicode_escape").count(name[1]) >= 4


@pytest.mark.parametrize(
    "name", ["x" * 200, "backbone.stages.3.blocks.22.conv_transpose.activation", "層" * 90]
)
def test_tables_fit_eighty_columns_with_the_widest_numbers(name: str) -> None:
    wide = layer(
        name,
        np.full((64, 112, 112), -1.25e-12),
        form="A.Very.Long.ParametricReLU",
        nodes=(name, "again"),
        preceding=1,
    )
    text = render(model(wide, layer("b", [-1e30, 1e30, math.inf])), Style())
    assert _widest(text) <= 80
    row = next(line for line in text.splitlines() if "802,816" in line)
    numbers = ["802,816", "-1.2e-12", "0.000", "-1.2e-12", "-1.2e-12", "100%", "0", "80281600%"]
    assert row.split()[-8:] == numbers


def test_a_form_that_has_no_room_in_the_table_stands_below_it() -> None:
    long = layer("a" * 40, np.full((64, 56, 56), 0.5), form="A.Very.Long.ParametricReLU")
    assert re.search(
        r"^A\.Very\.Long\.ParametricReLU 64x56x56 +a+…a+$", render(model(long), Style()), re.M
    )
    assert "prelu per channel 4" in " ".join(render(model(layer("a", [0.5] * 4)), Style()).split())


def test_what_columns_without_room_say_of_all_layers_is_said_of_all_of_them() -> None:
    names = [f"backbone.stage_{number}.residual.parametric_activation" for number in range(3)]
    same = model(*(layer(name, np.full((64, 56, 56), 0.5)) for name in names))
    lines = render(same, Style()).splitlines()
    assert "prelu 64x56x56  all layers" in lines
    other = layer("last", np.full((64, 28, 28), 0.5))
    lines = render(model(*same.layers, other), Style()).splitlines()
    place = lines.index("prelu 64x28x28  last")
    shown = {line.split()[0] for line in lines if "0.500" in line}
    (below,) = (line for line in lines[:place] if line.startswith("prelu 64x56x56  "))
    assert set(" ".join([below, *lines[lines.index(below) + 1 : place]]).split()[2:]) <= {
        *(f"{name}," for name in shown),
        *shown,
    }


@pytest.mark.parametrize("width", [80, 140])
def test_a_path_is_never_broken(width: int) -> None:
    folder = "/data/models of the recognition group/with a long name/" + "x" * 60
    one, two = f"{folder}/before.onnx", f"{folder}/after.onnx"
    result = compared()
    moved = dataclasses.replace(
        result,
        left=dataclasses.replace(result.left, path=one),
        right=dataclasses.replace(result.right, path=two),
    )
    lines = render(moved, Style(width=width)).splitlines()
    assert lines[:2] == [one, f"  -> {two}"]
    assert f"before  {one}:" in lines


def test_a_table_that_has_no_room_is_wider_and_cuts_nothing() -> None:
    columns = (Column("name", "name"), *(Column(f"figure {place}") for place in range(12)))
    rows = (("a-rather-long-name", *(f"{place}.12345678" for place in range(12))),)
    made, _ = grid(Table(columns, rows), 80)
    out = io.StringIO()
    Console(file=out, width=80).print(made, soft_wrap=True)
    line = out.getvalue().splitlines()[2]
    assert line.split()[1:] == list(rows[0][1:])


def test_a_narrow_terminal_breaks_lines_and_never_numbers() -> None:
    assert render(usual(), Style(width=30)) == render(usual(), Style(width=80))


def test_a_wide_terminal_is_used() -> None:
    long = model(layer("x" * 90, [0.5, 0.6]))
    assert "x" * 90 in render(long, Style(width=200)).splitlines()[6]


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    values = np.full(200, 0.5)
    values[0] = -0.5
    assert " <1% " in render(model(layer("a", values)), Style())
    assert " >99% " in render(model(layer("a", -values)), Style())
    assert " 100% " in render(model(layer("a", [-0.5, -0.6])), Style())


def test_comparisons_fit_eighty_columns() -> None:
    result = compared()
    change = dataclasses.replace(
        result.changes[1], name="x" * 70, difference="word " * 40, mean_change=-1.25e-12
    )
    text = render(dataclasses.replace(result, changes=(change,)), Style())
    assert _widest(text) <= 80
    assert " -1.2e-12 " in text
    assert "word" in text


def test_what_is_not_known_of_a_model_leaves_no_gap() -> None:
    bare = dataclasses.replace(usual(), opset=None, producer="")
    assert "\nonnx; 1,234,567 parameters\n" in render(bare, Style())


def test_two_models_without_a_layer_say_so() -> None:
    empty = dataclasses.replace(compared(), changes=())
    assert "neither has a PReLU layer" in render(empty, Style())
