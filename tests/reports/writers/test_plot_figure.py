"""`--plot`: one figure, the same bytes every time, readable for one layer and for many."""

from __future__ import annotations

import math
import re
import struct
import sys

import numpy as np
import pytest
from made_results import layer, model, usual

from prelu_tools.core.errors import MissingExtraError
from prelu_tools.core.results.inspection import InspectResult

pytest.importorskip("matplotlib")

import matplotlib as mpl

from prelu_tools.reports.writers.charts.plot import draw, figure, word_of

ORANGE, BLUE, GREY = "#d55e00", "#0072b2", "#8c8c8c"


def _svg(result: InspectResult) -> str:
    return draw(result, ".svg").decode("utf-8")


def _size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def _markers(picture: str, colour: str) -> int:
    """How many points were drawn in a colour."""
    return len(re.findall(rf"<use [^>]*style=\"fill: {colour}", picture))


def _many(n_layers: int) -> InspectResult:
    random = np.random.default_rng(0)
    return model(*(layer(f"block{i}.act", random.normal(0.2, 0.3, 64)) for i in range(n_layers)))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_result_gives_the_same_bytes_whatever_the_users_settings(suffix: str) -> None:
    first = draw(usual(), suffix)
    with mpl.rc_context({"lines.linewidth": 9.0, "svg.hashsalt": None, "axes.facecolor": "red"}):
        assert draw(usual(), suffix) == first


def test_nothing_of_the_moment_is_stored() -> None:
    assert "<dc:date>" not in _svg(usual())
    assert b"Software" not in draw(usual(), ".png")


def test_each_slope_is_a_point_in_the_colour_of_its_layers_health() -> None:
    result = model(layer("a", [-0.5, 0.1, 0.2]), layer("b", [0.1, 0.5]), layer("c", [0.25] * 4))
    picture = _svg(result)
    assert (_markers(picture, ORANGE), _markers(picture, BLUE), _markers(picture, GREY)) == (
        3,
        2,
        4,
    )


def test_the_telling_word_of_several_is_the_colour() -> None:
    assert word_of(layer("a", [0.25, 0.25])) == "at_init"
    assert word_of(layer("a", [-0.001, 0.001])) == "relu_like"
    assert word_of(layer("a", [-1.0, 2.0])) == "sign_flipping"
    assert word_of(layer("a", [0.0, 1.0])) is None


def test_large_layers_show_as_many_points_as_there_is_room_for() -> None:
    picture = _svg(model(layer("a", np.linspace(-1, 1, 50_000)), layer("b", [0.1, 0.5])))
    assert _markers(picture, ORANGE) == 3000
    assert _markers(picture, BLUE) == 2


def test_what_lies_beyond_the_scale_is_an_arrow_at_its_edge() -> None:
    inside = np.linspace(0.1, 0.9, 500)
    assert _markers(_svg(model(layer("a", inside))), BLUE) == 500
    outside = _svg(model(layer("a", [*inside, 900.0])))
    assert _markers(outside, "#a3509c") == 501


def test_zero_and_one_are_lines() -> None:
    picture = _svg(usual())
    assert 'id="line-0"' in picture
    assert 'id="line-1"' in picture


def test_where_slopes_stay_far_from_one_its_line_is_left_out() -> None:
    result = model(layer("a", [-0.09, 0.0, 0.13]))
    picture = _svg(result)
    assert 'id="line-0"' in picture
    assert 'id="line-1"' not in picture
    (axes,) = figure(result).axes
    assert axes.get_ylim() == pytest.approx((-0.0988, 0.1388))


def test_the_axes_hold_every_layer_and_the_whole_scale() -> None:
    (axes,) = figure(model(layer("a", [-0.5, 0.1]), layer("b", [0.5, 2.0]), layer("c", 0.1))).axes
    assert axes.get_ylim() == pytest.approx((-0.6, 2.1))
    assert axes.get_xlim() == pytest.approx((-0.6, 2.6))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.get_title(loc="left") == "net.onnx: 5 slopes"
    (alone,) = figure(model(layer("a", [0.5, 0.6]))).axes
    assert alone.get_xlim() == pytest.approx((-1.0, 1.0))


def test_a_box_is_the_middle_half_and_a_bar_the_median() -> None:
    (axes,) = figure(model(layer("a", [0.0, 0.1, 0.2, 0.3, 0.8]), layer("b", 0.5))).axes
    (box,) = axes.patches
    x, y, width, height = box.get_bbox().bounds
    assert (x, y, width, height) == pytest.approx((-0.31, 0.1, 0.62, 0.2))
    whisker, median = (lines.get_segments()[0].tolist() for lines in axes.collections)
    assert whisker == [[0.0, 0.0], [0.0, pytest.approx(0.8)]]
    assert median == [[-0.31, pytest.approx(0.2)], [0.31, pytest.approx(0.2)]]


def test_points_stay_within_their_layer() -> None:
    for n_layers in (1, 60):
        made = figure(_many(n_layers))
        room = 72.0 * made.get_size_inches()[0] / max(n_layers, 3)
        points = [line for line in made.axes[0].lines if line.get_marker() == "o"]
        assert len(points) == n_layers
        for position, line in enumerate(points):
            places = np.asarray(line.get_xdata(), dtype=np.float64) - position
            assert np.abs(places).max() <= 0.26
            assert np.ptp(places) > 0.3
            assert 1.0 < line.get_markersize() < 0.3 * room


def test_the_legend_names_the_words_that_occur() -> None:
    made = figure(model(layer("a", [-0.5, 0.1]), layer("b", [0.25] * 2), layer("c", [0.1, 1.2])))
    (legend,) = made.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "at_init: as at the start of training",
        "sign_flipping: some below 0",
        "expansive: some above 1",
    ]
    assert not figure(model()).legends
    (legend,) = figure(model(layer("a", [*np.linspace(0.1, 0.9, 400), -9.5, 9.9]))).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[-2:] == [
        "slopes outside the axis, down to -9.5", "slopes outside the axis, up to 9.9"
    ]  # fmt: skip


def test_the_names_of_a_very_deep_model_are_thinned() -> None:
    (axes,) = figure(_many(150)).axes
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names == [f"block{i}.act" for i in range(0, 150, 2)]


def test_a_figure_grows_with_the_depth_up_to_a_limit() -> None:
    sizes = [figure(_many(n)).get_size_inches().tolist() for n in (1, 20, 60, 150)]
    assert sizes == [[7.0, 6.0], [9.0, 6.0], [16.0, 6.0], [16.0, 6.0]]
    assert _size(draw(_many(1), ".png")) == (7 * 150, 6 * 150)


@pytest.mark.parametrize("name", ["$\\frac{1$", "層" * 30, "a\x00b", "x" * 300, "<&>"])
def test_names_are_text(name: str) -> None:
    assert _size(draw(model(layer(name, [0.5, 0.6]), path=name), ".png"))[0] > 500


@pytest.mark.parametrize("slopes", [[math.nan], [math.inf, 0.5], [1e38, -1e38]])
def test_slopes_that_cannot_be_drawn_do_no_harm(slopes: list[float]) -> None:
    assert _size(draw(model(layer("a", slopes)), ".png"))[0] > 500


def test_a_model_without_layers_is_an_empty_figure() -> None:
    assert _size(draw(model(), ".png"))[0] > 500


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'prelu-tools\[plot\]'"):
        draw(usual(), ".png")
