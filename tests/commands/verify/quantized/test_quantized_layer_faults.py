"""Faults planted in the slopes of a quantized candidate: which ones its layers show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quantized_layer_rig import BEHIND, SLOPES, Rig, X, Y, codes_of

from prelu_tools.core.arrays import Array
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.prelu.faults import faults_in

pytestmark = pytest.mark.filterwarnings("error")


def _power(rig: Rig, x: Any, slopes: Array = SLOPES) -> tuple[int, int, int]:
    """Faults of the slopes that are caught, hidden and not reached."""
    x = np.asarray(x, np.float32)
    seen = rig.observe(x, np.where(x > 0, x, slopes * x))
    assert seen.off <= 1
    found = rig.layers.power()
    assert (found.by_outputs, found.sampled, found.escaped) == (0, True, ())
    assert found.detected == found.planted == found.by_layers
    return found.planted, found.hidden, found.unreached


def test_faults_in_floating_point_are_all_caught() -> None:
    every = len(list(faults_in(0, [SLOPES], np.ones(3, bool), 0, DEFAULT_SEED)))
    assert every == 5
    assert _power(Rig(), X) == (every, 0, 0)


def test_faults_that_rounding_hides_are_hidden() -> None:
    caught, hidden, unreached = _power(Rig(BEHIND), X)
    assert caught > 3
    assert hidden > 0
    assert unreached == 0
    wide = {"r": codes_of(100.0, 128)}
    assert _power(Rig(wide), X) == (0, caught + hidden, 0)


def test_faults_where_nothing_is_negative_are_not_reached() -> None:
    every = sum(_power(Rig(), X))
    caught, hidden, unreached = _power(Rig(), np.abs(X))
    assert (caught, hidden, unreached) == (0, 0, every)
    some = np.float32([[1, 1, -4]])
    caught, hidden, unreached = _power(Rig(), some)
    assert (caught > 0, hidden, caught + unreached) == (True, 0, every)


def test_faults_where_values_are_cut_off_are_not_reached() -> None:
    rig = Rig({"i": codes_of(0.001, 9)})
    inside = np.zeros((2, 3), np.uint8)
    rig.observe(X, Y, i=inside)
    found = rig.layers.power()
    assert (found.planted, found.hidden) == (0, 0)
    assert found.unreached == sum(_power(Rig(), X))


def test_faults_end_where_the_codes_do() -> None:
    """Slopes whose products are all beyond the range give its end, right or wrong."""
    steep = np.array([[2.0, 4.0, 8.0]], np.float32)
    x = np.full((1, 3), -100, np.float32)
    rig = Rig({"p": codes_of(0.5, 128)}, steep)
    rig.observe(x, np.full((1, 3), -64, np.float32))
    found = rig.layers.power()
    assert found.hidden > 0
    free = Rig({}, steep)
    free.observe(x, steep * x)
    assert free.layers.power().hidden == 0
    assert found.planted + found.hidden == free.layers.power().planted


@pytest.mark.parametrize(("width", "caught"), [(166_666, True), (166_667, False)])
def test_half_a_million_values_of_a_layer_are_looked_at(width: int, caught: bool) -> None:
    x = np.ones((3, width), np.float32)
    x[2] = -1
    one = np.float32([[0.25]])
    assert bool(_power(Rig(slopes=one), x, one)[0]) is caught


@pytest.mark.parametrize(("most", "caught"), [(5, False), (6, True), (100, True)])
def test_few_rows_of_a_large_layer_are_looked_at(
    most: int, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.layers._MOST_PLANTED", most)
    x = np.abs(X)
    x[1] = -x[1]  # the second row alone reaches the slopes
    assert bool(_power(Rig(), x)[0]) is caught
    rows = np.concatenate([x, x])
    assert bool(_power(Rig(), rows)[0]) is caught


def test_slopes_for_each_row_take_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.layers._MOST_PLANTED", 3)
    slopes = np.array([[0.25], [0.5]], np.float32)
    x = np.float32([[4, 4, 4], [-1, -1, -1]])
    assert _power(Rig(slopes=slopes), x, slopes)[0] > 0


def test_faults_are_planted_once_and_not_in_a_layer_that_is_off() -> None:
    rig = Rig()
    first = _power(rig, X)
    assert _power(rig, X) == tuple(2 * n for n in first)
    rig.observe(X, Y, run=1)
    assert sum((rig.layers.power().planted, rig.layers.power().hidden)) == 2 * sum(first)
    off = Rig(BEHIND)
    off.observe(X, Y + np.float32(0.4))
    assert off.layers.power().planted == 0
    twice = Rig(calls=2)
    assert _power(twice, X) == first


def test_slopes_for_each_position_have_faults_too() -> None:
    slopes = np.linspace(0.1, 0.9, 6, dtype=np.float32).reshape(1, 2, 3)
    x = np.full((2, 2, 3), -4, np.float32)
    x[:, 1] = 1
    caught, hidden, unreached = _power(Rig(slopes=slopes), x, slopes)
    assert (caught > 0, hidden) == (True, 0)
    every = len(list(faults_in(0, [slopes], np.arange(6) < 3, 0, DEFAULT_SEED)))
    assert caught + unreached == every


@pytest.mark.parametrize(
    ("slopes", "y", "hidden"), [([[2.0, 4.0, 8.0]], -64.0, 1), ([[-2.0, -4.0, -8.0]], 63.5, 1)]
)
def test_faults_beyond_the_range_are_hidden_at_both_ends(
    slopes: Any, y: float, hidden: int
) -> None:
    rig = Rig({"p": codes_of(0.5, 128)}, np.float32(slopes))
    rig.observe(np.full((1, 3), -100, np.float32), np.full((1, 3), y, np.float32))
    assert (rig.layers.power().hidden, rig.layers.power().planted) == (hidden, 4)


@pytest.mark.parametrize(("off", "planted", "hidden"), [(0.25, 4, 1), (-0.25, 2, 3)])
def test_faults_add_to_what_a_layer_is_off_already(off: float, planted: int, hidden: int) -> None:
    rig = Rig(BEHIND)
    x = np.float32([[-1, 8, -1]])
    rig.observe(x, np.where(x > 0, x, SLOPES * x) + np.float32(off))
    assert (rig.layers.power().planted, rig.layers.power().hidden) == (planted, hidden)
