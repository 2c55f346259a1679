"""A series in every format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import pytest

from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.prelu.statistics import slope_health, slope_statistics
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesPoint, SeriesResult
from prelu_tools.reports import Style, render
from prelu_tools.reports.writers.charts.course import limits_of, places_of, ticks
from prelu_tools.reports.writers.charts.plot import draw
from prelu_tools.reports.writers.charts.series import series_figure

HOSTILE = "<script>alert('&')</script>\x1b[2J"


def _layer(name: str, *looks: Sequence[float] | None) -> LayerSeries:
    track = SlopeTrack()
    points = []
    for look in looks:
        if look is None:
            points.append(None)
            continue
        slopes = np.array(look)
        health = slope_health(slopes)
        points.append(LayerPoint(slopes, slope_statistics(slopes), health, track.add(slopes)))
    return LayerSeries(name, f"{name}.weight", "PReLU", tuple(points), track.trends())


def _series(*layers: LayerSeries, findings: tuple[Finding, ...] = ()) -> SeriesResult:
    n_points = len(layers[0].points)
    points = [SeriesPoint(f"step {10 * n}", "slopes.jsonl", 10 * n) for n in range(n_points)]
    return SeriesResult("slopes.jsonl", tuple(points), layers, findings)


ODD = (
    _layer("features.act1", [0.25, 0.25], [0.5, -0.25], [0.75, -0.5]),
    _layer("still", [0.25], [0.25], [0.25]),
    _layer("gone", [0.1, 0.2], None, [0.3, 0.4]),
    _layer("late", None, None, [0.3]),
    _layer("broken", [0.1, np.nan], [np.inf, np.nan], [np.nan, np.nan]),
    _layer("huge", [1e300, -1e300], [1e308, -1e308], [0.0, 1.0]),
    _layer(HOSTILE, [0.1], [0.2], [0.1]),
)
FINDINGS = (
    Finding("not_moving", "warning", "its slopes are the same", "still"),
    Finding("diverging", "error", "it diverges", "broken"),
)
RESULT = _series(*ODD, findings=FINDINGS)


def test_what_moved_and_came_back_has_moved() -> None:
    back = _layer("back", [0.25, 0.25, 0.25], [-0.25, 0.5, 0.25], [0.25, 0.25, 0.25])
    text = render(_series(back), "table", Style())
    *_, moved, sign_changes, unmoved = next(
        line.split() for line in text.splitlines() if line.startswith("back ")
    )
    assert (moved, sign_changes, unmoved) == ("0.500", "2", "1")
    legend = " ".join(text.split())
    assert "moved: largest distance of a slope from its first value, at any point" in legend
    assert "sign changes: how often a sign changed, over all slopes and points" in legend


def test_a_table_says_how_far_and_which_way() -> None:
    text = render(_series(ODD[0], ODD[1], findings=FINDINGS[:1]), "table", Style())
    lines = text.splitlines()
    assert lines[:3] == [
        "slopes.jsonl",
        "3 points, step 0 to step 20",
        "2 PReLU layers, 3 slopes",
    ]
    row = next(line.split() for line in lines if line.startswith("features.act1"))
    expected = ["features.act1", "2", "0.250", "0.125", "█▁▁", "-0.500", "0.750", "0.750", "1", "0"]
    assert row == expected
    still = next(line.split() for line in lines if line.startswith("still"))
    assert still[4:] == ["▄▄▄", "0.250", "0.250", "0", "0", "1"]
    assert "  some slopes below 0 (sign_flipping): features.act1" in lines
    assert not any("(not_moving)" in line for line in lines)  # it is a warning
    assert "warning not_moving in still: its slopes are the same" in text
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("form", ["table", "markdown", "html", "csv", "json", "junit", "notebook"])
def test_nothing_of_a_name_steers_a_reader(form: str) -> None:
    text = render(RESULT, form, Style())
    assert "\x1b" not in text
    if form in ("html", "notebook"):
        assert "<script>alert" not in text


def test_a_word_of_another_version_is_shown_without_its_meaning() -> None:
    layer = dataclasses.replace(ODD[1], trends=("circling",))
    lines = render(_series(layer), "table", Style()).splitlines()
    assert "  circling: still" in lines
    assert "  all slopes between 0 and 1 (leaky): still" in lines


def test_a_page_draws_each_layer_without_a_script() -> None:
    text = render(RESULT, "html", Style())
    assert "<script" not in text
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) == len(ODD)
    for figure in figures:
        drawing = ElementTree.fromstring(figure[figure.index("<svg") : figure.index("</figure>")])
        numbers = [
            float(number)
            for element in drawing.iter()
            for place in ("points", "x", "y", "d")
            for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", element.get(place, ""))
        ]
        assert "nan" not in figure.lower().replace(">nan<", "")
        assert all(-5 <= number <= 325 for number in numbers)


def test_a_drawing_has_a_size_where_no_style_sheet_gives_one() -> None:
    drawn = re.findall(r"<svg[^>]*>", RESULT._repr_html_())
    assert len(drawn) == len(ODD)
    assert all(re.search(r' width="\d+" height="\d+"', one) for one in drawn)


def test_a_line_is_broken_where_a_layer_is_missing() -> None:
    text = render(_series(_layer("gone", [0.1], [0.2], None, [0.3])), "html", Style())
    lines = re.findall(r'<polyline points="([^"]*)"', text)
    assert [len(line.split()) for line in lines] == [2, 2, 2, 2]  # a slope and the median, twice
    first, second = (line.split() for line in lines[:2])
    assert first[0].startswith("44.0,")
    assert second[0] == second[1]  # a dot, wide enough to be seen
    assert "stroke-width:5" in text


def test_points_are_where_their_steps_are() -> None:
    def places(*steps: int | None) -> tuple[float, ...]:
        return places_of([SeriesPoint("", "", step) for step in steps])

    assert places(0, 10, 100) == (0.0, 0.1, 1.0)
    assert places(0, None, 100) == (0.0, 0.5, 1.0)
    assert places(5, 3, 4) == (0.0, 0.5, 1.0)
    assert places(7) == (0.0,)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-0.51, 0.77), (0.2449, 0.2551), (-1e150, 1e150), (1e-9, 3e-9)]
)
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 6
    assert low <= found[0] < found[-1] <= high
    assert all(len(f"{value:.6g}") <= 9 for value in found)


@pytest.mark.parametrize("layer", ODD, ids=[layer.name[:8] for layer in ODD])
def test_limits_hold_every_finite_slope(layer: LayerSeries) -> None:
    low, high = limits_of(layer)
    assert np.isfinite(high - low)
    assert low < high


def test_rows_for_a_data_frame() -> None:
    rows = list(csv.DictReader(io.StringIO(render(RESULT, "csv", Style(slopes=True)))))
    assert len(rows) == 6 * 3 - 2 - 1 + 3
    first = rows[2]
    assert (first["layer"], first["step"], first["from_start"]) == ("features.act1", "20", "0.75")
    assert first["slopes"] == "0.75 -0.5"
    assert {row["trends"] for row in rows if row["layer"] == "still"} == {"not_moving"}


def test_json_has_a_place_for_each_point() -> None:
    document = json.loads(render(RESULT, "json", Style()))
    assert document["kind"] == "inspect-series"
    layers = {layer["name"]: layer["points"] for layer in document["layers"]}
    assert [point is None for point in layers["gone"]] == [False, True, False]
    assert layers["broken"][1]["statistics"]["max"] == "NaN"
    assert "slopes" not in layers["still"][0]
    assert layers["still"][2]["movement"]["n_unmoved"] == 1


def test_findings_for_continuous_integration() -> None:
    suite = ElementTree.fromstring(render(RESULT, "junit", Style()).encode())[0]
    assert suite.get("failures") == "1"
    skipped = [case.get("name") for case in suite if case.find("skipped") is not None]
    assert skipped == ["still"]
    log = json.loads(render(RESULT, "sarif", Style()))["runs"][0]["results"]
    assert [(one["ruleId"], one["level"]) for one in log] == [
        ("not_moving", "warning"), ("diverging", "error"),
    ]  # fmt: skip
    lines = render(RESULT, "github", Style()).splitlines()
    assert [line.split()[0] for line in lines] == ["::error", "::warning", "slopes.jsonl:"]
    assert lines[-1] == "slopes.jsonl: 3 points, 7 PReLU layers; 1 error, 1 warning"


def test_a_figure_of_many_layers_is_the_same_each_time() -> None:
    pytest.importorskip("matplotlib")
    assert draw(RESULT, ".png")[:4] == b"\x89PNG"
    many = [_layer(f"act{n}", [0.25, 0.1], [0.25 + n, 0.1]) for n in range(40)]
    first, second = (draw(_series(*many), ".svg") for _ in range(2))
    assert first == second
    text = first.decode()
    assert text.count('id="axes_') == 30


def _axes(
    names: Sequence[str], steps: Sequence[int | None], size: int = 2
) -> tuple[str, list[str]]:
    """What is written below a chart: what the points are, and at which of them."""
    layer = _layer("act", *([0.25 + n / 9] * size for n in range(len(names))))
    points = [SeriesPoint(name, name, step) for name, step in zip(names, steps, strict=True)]
    (axes,) = series_figure(SeriesResult("a to b", tuple(points), (layer,), ())).axes
    return axes.get_xlabel(), [tick.get_text() for tick in axes.get_xticklabels()]


def test_below_a_chart_is_what_the_points_are() -> None:
    pytest.importorskip("matplotlib")

    def counted(word: str, steps: Sequence[int]) -> tuple[str, list[str]]:
        return _axes([f"{word}{step}" for step in steps], steps)

    assert counted("epoch ", [1, 2, 3]) == ("epoch", ["1", "2", "3"])
    assert counted("e0", range(1, 7)) == ("checkpoint", ["1", "2", "3", "4", "5", "6"])
    assert counted("epoch ", range(1, 41)) == ("epoch", ["10", "20", "30", "40"])
    assert counted("step ", [0, 10, 1000]) == ("step", ["0", "200", "400", "600", "800", "1,000"])
    assert _axes(["start", "best", "last"], [None] * 3) == ("", ["start", "best", "last"])
    long = ["start", *(f"run-of-tuesday-{n}" for n in range(4)), "end"]
    assert _axes(long, [None] * 6) == ("", ["start", "", "", "", "", "end"])


@pytest.mark.parametrize("size", [32, 33])
def test_where_not_every_slope_has_a_line_the_range_is_shaded_and_the_legend_says_so(
    size: int,
) -> None:
    pytest.importorskip("matplotlib")
    result = _series(_layer("act", np.linspace(0.1, 0.9, size), np.linspace(0.9, 0.2, size)))
    page, made = render(result, "html", Style()), series_figure(result)
    (axes,) = made.axes
    said = "bold: the median; thin: each slope"
    if size > 32:
        said = (
            "bold: the median; thin: up to 32 slopes per layer; "
            "shaded: from the smallest to the largest slope, where a layer has more"
        )
    assert len(axes.collections) == page.count("<polygon") == int(size > 32)
    assert " ".join(made.get_supxlabel().split()) == said
    assert said in page
    assert len(axes.lines) == page.count("<polyline") == 33
