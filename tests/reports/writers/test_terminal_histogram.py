"""The histogram in the terminal: one line a layer, 0 and 1 marked below."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_results import layer
from rich.cells import cell_len

from prelu_tools.reports.distribution import Scale
from prelu_tools.reports.writers.charts.histogram import blocks, histograms, labels, ruler


def _lines(*reports: object, width: int = 80) -> list[str]:
    return [str(line) for line in histograms(reports, width)]  # type: ignore[arg-type]


def test_heights_are_relative_to_the_largest_and_anything_at_all_shows() -> None:
    assert blocks(np.array([0, 1, 500, 1000])) == " ▁▄█"
    assert blocks(np.array([0, 0])) == "  "


def test_a_slope_of_zero_or_one_stands_above_its_mark() -> None:
    line, scale, numbers, _ = _lines(layer("a", [-0.7, 0.0, 1.0, 2.3]))
    marks = [i for i, char in enumerate(scale) if char == "┼"]
    assert [line[i] for i in marks] == ["█", "█"]
    assert [numbers[i] for i in marks] == ["0", "1"]


def test_all_layers_share_one_scale_and_are_summed_below() -> None:
    first, second, total, *_ = _lines(layer("a", [0.0] * 4), layer("b", [1.0] * 3))
    assert first.index("█") < second.index("█")
    assert total.startswith("all 2 layers")
    assert (total[first.index("█")], total[second.index("█")]) == ("█", "▆")


def test_cells_below_zero_and_above_one_have_a_colour_of_their_own() -> None:
    line = next(iter(histograms([layer("a", [-0.5, 0.0, 0.5, 1.0, 1.5])], 80)))
    colours = {place: s.style for s in line.spans for place in range(s.start, s.end)}
    shown = [colours[place] for place, char in enumerate(line.plain) if char == "█"]
    assert shown == ["yellow", "cyan", "cyan", "cyan", "magenta"]


def test_one_layer_is_not_summed() -> None:
    assert len(_lines(layer("a", [0.5]))) == 4


def test_a_layer_without_a_finite_slope_says_so() -> None:
    assert "none is finite" in _lines(layer("a", [math.nan]), layer("b", [0.5]))[0]


def test_the_ends_are_marked_and_named() -> None:
    scale = Scale(-0.5, 2.0, False, False)
    assert ruler(scale, 25) == "└────┼─────────┼────────┘"
    assert labels(scale, 25, 4) == "  -0.5   0         1        2"


def test_ends_at_zero_and_one_are_named_once() -> None:
    scale = Scale(0.0, 1.0, False, False)
    assert ruler(scale, 5) == "├───┤"
    assert labels(scale, 5, 0) == "0   1"


def test_a_scale_that_ends_before_one_has_no_mark_there() -> None:
    scale = Scale(-0.1, 0.15, False, False)
    assert ruler(scale, 25) == "└─────────┼─────────────┘"
    assert labels(scale, 25, 4).split() == ["-0.1", "0", "0.15"]
    line = next(iter(histograms([layer("a", [-0.1, 0.0, 0.15])], 80)))
    assert "magenta" not in {span.style for span in line.spans}


def test_an_end_with_slopes_beyond_it_says_so() -> None:
    line = labels(Scale(-0.5, 3.0, True, True), 40, 6)
    assert line.split() == ["<-0.5", "0", "1", ">3"]


def test_zero_and_one_go_before_the_ends_where_room_is_short() -> None:
    assert labels(Scale(-0.01, 1.0, False, False), 20, 0).split() == ["0", "1"]


@pytest.mark.parametrize("name", ["x" * 100, "層" * 60, "a\nb" * 40])
def test_lines_fit_whatever_the_names_are(name: str) -> None:
    lines = _lines(layer(name, [0.1, 0.9]), layer("b", [-0.5]))
    assert max(map(cell_len, lines)) <= 80
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize("width", [80, 140])
def test_labels_of_layers_that_look_alike_differ(width: int) -> None:
    reports = [layer(f"backbone.layer{i}_residual_function.act", [0.5]) for i in range(12)]
    labels_shown = [line.split()[0] for line in _lines(*reports, width=width)[:12]]
    assert len(set(labels_shown)) == 12
    if width == 140:
        assert labels_shown == [report.layer.name for report in reports]
