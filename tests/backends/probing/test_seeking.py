"""The search for inputs, with gradients that are known by heart: no framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest

from prelu_tools.backends.probing.seeking import Pick, redraw, seek
from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer

LAYER = PReLULayer(
    "act", ("act",), None, "PReLU", np.ones((1, 3), np.float32), (None, 3), (3,), None, True
)
BIAS = np.array([0.0, 20.0, 3.0])


class _Net:
    """PReLU of x + BIAS; counts how often it is run."""

    def __init__(self, bias: Array = BIAS) -> None:
        self.bias = bias
        self.surveys = self.pulls = 0
        self._observe: Observer | None = None

    @contextmanager
    def runner(self, observe: Observer) -> Iterator[_Net]:
        self._observe = observe
        yield self

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.surveys += 1
        h = feeds["x"] + self.bias
        assert self._observe is not None
        self._observe("act", 0, h, h)
        return {}

    def pull(self, feeds: Mapping[str, Array], picks: list[Pick]) -> tuple[Array, dict[str, Array]]:
        self.pulls += 1
        values, gradient = np.zeros(len(picks)), np.zeros_like(feeds["x"])
        for place, pick in enumerate(picks):
            assert pick.layer == "act"
            values[place] = (feeds["x"] + self.bias)[(pick.row, *pick.where)]
            gradient[(pick.row, *pick.where)] = 1.0
        return values, {"x": gradient}


def _limits(
    most: int = 99_999, whole: bool = False, seed: int = 0, **ranges: tuple[float, float]
) -> SearchLimits:
    """Limits with an effort for so many rows."""
    spent = 0

    def spend(rows: int, runs: int) -> bool:
        nonlocal spent
        spent += rows * runs
        return spent <= most

    return SearchLimits(spend, seed, ranges, whole)


def _start(rows: int = 4) -> dict[str, Array]:
    return {"x": np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)}


def _seek(
    net: _Net, start: Mapping[str, Array], limits: SearchLimits, *wanted: bool
) -> list[dict[str, Array]]:
    targets = {"act": np.array(wanted or (False, True, True))}
    return list(seek([LAYER], net.runner, net.pull, targets, start, limits))


def _reached(net: _Net, batches: list[dict[str, Array]]) -> list[bool]:
    lows = np.min([(feeds["x"] + net.bias).min(axis=0) for feeds in batches], axis=0)
    return [bool(low < 0) for low in lows]


def test_slopes_that_draws_do_not_reach_are_reached() -> None:
    net, start = _Net(), _start()
    before = start["x"].copy()
    assert not (start["x"][:, 1:] + BIAS[1:] < 0).any()
    batches = _seek(net, start, _limits())
    assert _reached(net, batches)[1:] == [True, True]
    assert {feeds["x"].dtype for feeds in batches} == {np.dtype(np.float32)}
    assert np.array_equal(start["x"], before)
    assert net.surveys == 1


def test_only_the_rows_that_reach_something_are_given() -> None:
    net = _Net()
    for feeds in _seek(net, _start(), _limits()):
        assert ((feeds["x"] + BIAS)[:, 1:] < 0).any(axis=1).all()


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_batch_of_fixed_size_keeps_it(rows: int) -> None:
    net = _Net()
    batches = _seek(net, _start(rows), _limits(whole=True))
    assert {feeds["x"].shape for feeds in batches} == {(rows, 3)}
    assert _reached(net, batches)[1:] == [True, True]


@pytest.mark.parametrize("axis", [1, None])
def test_rows_rest_along_their_own_axis_and_what_all_share_with_any(axis: int | None) -> None:
    """A gain, too, which has no axes; moved further it would lose what a row has reached."""
    limits = SearchLimits(lambda *_: True, 0, {}, axes={"x": 1} if axis else {})
    move = np.ones((2, 3), np.float32)
    expected = [[1, 0, 1], [1, 0, 1]] if axis else [[0, 0, 0], [0, 0, 0]]
    assert limits.rest("x", move, [1]).tolist() == expected
    assert limits.rest("x", move, []).tolist() == move.tolist()
    gain = np.float32(1)
    assert [limits.rest("gain", gain, rows).tolist() for rows in ([], [1])] == [1, 0]


def test_what_is_reached_is_below_zero_by_more_than_rounding() -> None:
    net = _Net(np.array([0.0, 20.0, 20.0]))
    for feeds in _seek(net, _start(), _limits()):
        assert (feeds["x"] + net.bias).min() < -1e-4


def test_a_row_begins_where_the_slope_is_nearest() -> None:
    start = {"x": np.array([[0, 0, 9], [0, 9, 0], [0, -19.9, 0], [0, 0, -2.9]], np.float32)}
    net = _Net()
    (feeds,) = _seek(net, start, _limits())
    assert net.pulls < 20  # from elsewhere it takes a hundred steps
    assert feeds["x"].shape == (2, 3)
    assert feeds["x"][:, 0].tolist() == [0, 0]


def test_nothing_to_look_for_is_found_at_once() -> None:
    net = _Net()
    assert _seek(net, _start(), _limits(), False, False, False) == []
    assert net.pulls == 0


def test_a_search_takes_no_more_than_its_effort() -> None:
    net = _Net(np.array([0.0, 1e6, 1e6]))
    assert _seek(net, _start(), _limits(0)) == []
    assert (net.surveys, net.pulls) == (0, 0)
    assert _seek(net, _start(), _limits(4 + 2 * 4 * 5)) == []  # a survey, and 5 steps of 2 rows
    assert (net.surveys, net.pulls) == (1, 5)


def test_what_a_batch_has_reached_is_looked_for_no_more() -> None:
    net, start = _Net(np.array([0.0, 5.0, 5.0])), _start(1)
    targets = {"act": np.array([False, True, True])}
    search = seek([LAYER], net.runner, net.pull, targets, start, _limits())
    next(search)
    targets["act"][:] = False
    pulls = net.pulls
    assert list(search) == []
    assert net.pulls == pulls


def test_an_attempt_ends_when_no_slope_comes_nearer() -> None:
    net = _Net(np.array([0.0, 0.9, 20.0]))
    assert _seek(net, _start(), _limits(x=(-1.0, 1.0)), False, False, True) == []
    assert net.pulls < 8 * 40  # of the 60 steps of an attempt, those until the border, and 20


def test_ranges_are_kept() -> None:
    net = _Net(np.array([0.0, 0.9, 20.0]))
    start = {"x": np.random.default_rng(0).uniform(-0.5, 1, size=(4, 3)).astype(np.float32)}
    batches = _seek(net, start, _limits(x=(-1.0, 1.0)))
    assert _reached(net, batches) == [_reached(net, batches)[0], True, False]
    assert all(abs(feeds["x"]).max() <= 1.0 for feeds in batches)
    assert _reached(net, _seek(net, start, _limits()))[2]


def test_ranges_are_kept_when_a_later_attempt_reaches_it_by_chance() -> None:
    """Without gradients only the noise of a later attempt moves anything."""
    net = _Net(np.array([0.0, 0.55, 0.55]))

    def blind(feeds: Mapping[str, Array], picks: list[Pick]) -> tuple[Array, dict[str, Array]]:
        return net.pull(feeds, picks)[0], {}

    start = {"x": np.full((2, 3), 0.5, np.float32)}
    targets = {"act": np.array([False, True, True])}
    batches = list(seek([LAYER], net.runner, blind, targets, start, _limits(x=(-1.0, 1.0))))
    assert batches
    assert all(abs(feeds["x"]).max() <= 1.0 for feeds in batches)


def test_the_search_for_what_cannot_be_reached_ends() -> None:
    net = _Net()

    def stuck(feeds: Mapping[str, Array], picks: list[Pick]) -> tuple[Array, dict[str, Array]]:
        net.pulls += 1
        return np.ones(len(picks)), {"x": np.zeros_like(feeds["x"])}

    targets = {"act": np.array([False, True, True])}
    assert list(seek([LAYER], net.runner, stuck, targets, _start(), _limits())) == []
    assert 8 <= net.pulls <= 1000


def test_the_same_seed_finds_the_same() -> None:
    start = {"x": np.full((2, 3), 500.0, np.float32)}  # too far away for the first attempt
    found = [
        [feeds["x"].tobytes() for feeds in _seek(_Net(), start, _limits(seed=seed))]
        for seed in (1, 1, 2)
    ]
    assert found[0]
    assert found[0] == found[1]
    assert found[0] != found[2]


# Draws


def test_redrawing_gives_batches_of_growing_scale() -> None:
    start = _start(8)
    batches = list(redraw(start, _limits()))
    assert 8 <= len(batches) <= 100
    assert {feeds["x"].shape for feeds in batches} == {(8, 3)}
    assert {feeds["x"].dtype for feeds in batches} == {np.dtype(np.float32)}
    assert batches[-1]["x"].std() > 5 * batches[0]["x"].std()
    again = list(redraw(start, _limits()))
    assert [f["x"].tobytes() for f in again] == [f["x"].tobytes() for f in batches]


def test_redrawing_keeps_ranges_and_integers() -> None:
    start = {**_start(), "tokens": np.arange(4)}
    for feeds in redraw(start, _limits(x=(-0.5, 0.25))):
        assert feeds["x"].min() >= -0.5
        assert feeds["x"].max() <= 0.25
        assert feeds["tokens"].dtype == start["tokens"].dtype
        assert set(feeds["tokens"].tolist()) <= set(range(4))


def test_redrawing_takes_no_more_than_its_effort() -> None:
    assert len(list(redraw(_start(), _limits(3 * 4)))) == 3
