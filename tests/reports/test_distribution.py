"""One scale for all layers, and what falls where."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_results import layer

from prelu_tools.reports.distribution import Scale, common_scale


@pytest.mark.parametrize(
    ("slopes", "low", "high"),
    [
        pytest.param([-0.09, 0.13], -0.09, 0.13, id="around zero"),
        pytest.param([0.2, 0.3], 0.0, 0.3, id="above zero"),
        pytest.param([-0.3, -0.2], -0.3, 0.0, id="below zero"),
        pytest.param([0.25] * 4, 0.0, 0.25, id="all equal"),
        pytest.param([-0.5, 0.4], -0.5, 0.4, id="far from one"),
        pytest.param([-0.5, 0.6], -0.5, 1.0, id="near one"),
        pytest.param([0.1, 1.25], 0.0, 1.25, id="beyond one"),
        pytest.param([0.0] * 4, 0.0, 0.01, id="all zero"),
        pytest.param([-1e-5, 1e-5], -1e-5, 0.01 - 1e-5, id="as good as zero"),
    ],
)
def test_the_scale_is_of_the_data_with_zero_and_with_one_where_that_is_near(
    slopes: list[float], low: float, high: float
) -> None:
    scale = common_scale([layer("a", slopes)])
    assert (scale.low, scale.high) == (pytest.approx(low), pytest.approx(high))
    assert not scale.cut_low
    assert not scale.cut_high
    assert scale.marks == ((0.0, 1.0) if high >= 1 else (0.0,))


def test_the_scale_holds_every_slope_of_every_layer() -> None:
    scale = common_scale([layer("a", [-0.5, 0.3]), layer("b", [1.5, 0.1])])
    assert scale == Scale(-0.5, 1.5, False, False)


def test_a_few_slopes_far_out_do_not_squeeze_the_rest() -> None:
    many = np.linspace(0, 1, 500)
    scale = common_scale([layer("a", [*many, 900.0]), layer("b", [*many, -900.0])])
    assert scale == Scale(pytest.approx(-0.1, abs=0.02), pytest.approx(1.1, abs=0.02), True, True)


def test_the_outermost_slope_of_ten_or_more_may_be_one_of_these() -> None:
    scale = common_scale([layer("a", [*[0.25] * 9, 3.0])])
    assert scale == Scale(0.0, pytest.approx(0.275), False, True)
    assert common_scale([layer("a", [*[0.25] * 8, 3.0])]) == Scale(0.0, 3.0, False, False)


def test_where_far_out_is_common_the_scale_goes_there() -> None:
    assert common_scale([layer("a", [*[0.25] * 10, 40.0, 40.0])]).high == 40.0


def test_what_is_not_finite_does_not_count() -> None:
    report = layer("a", [math.nan, math.inf, -0.5, -math.inf])
    assert common_scale([report]) == Scale(-0.5, 0.0, False, False)
    scale = common_scale([layer("a", [math.nan])])
    assert scale == Scale(0.0, 1.0, False, False)
    assert scale.counts(np.array([math.nan, 0.1]), 4).tolist() == [1, 0, 0, 0]


def test_the_largest_numbers_still_give_a_scale() -> None:
    largest = float(np.finfo(np.float32).max)
    scale = common_scale([layer("a", [largest, -largest, 0.0])])
    assert scale.counts(np.array([largest, -largest, 0.0]), 4).tolist() == [1, 0, 1, 1]


def test_each_cell_begins_where_the_last_one_ends() -> None:
    scale = Scale(-1.0, 1.0, False, False)
    values = np.array([-1.0, -0.501, -0.5, -0.001, 0.0, 0.499, 0.5, 1.0])
    assert scale.cells(values, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert scale.counts(values, 4).tolist() == [2, 2, 2, 2]


def test_what_lies_beyond_the_scale_is_in_the_outermost_cells() -> None:
    scale = Scale(0.0, 1.0, True, True)
    assert scale.counts(np.array([-5.0, 0.1, 7.0, 8.0]), 4).tolist() == [2, 0, 0, 2]
    assert scale.cell(-5.0, 4) == 0


def test_a_layer_of_many_slopes_is_looked_at_throughout() -> None:
    values = np.full((1, 300, 300), 0.5)
    values[0, 200:] = 3.0
    assert common_scale([layer("a", values)]).high == 3.0
