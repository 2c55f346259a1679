"""One layer as the candidate ran: what speaks against it, in a code and in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from prelu_tools.commands.verify.layers.isolated import UNLIKE
from prelu_tools.commands.verify.layers.watched import (
    WatchedLayer,
    agreeing,
    behaviour_of,
    difference_code,
    follow,
    is_right,
    is_same,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopediff import SlopeDifference
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.tolerance import Limit

EXACT = Limit(0.0, 0.0)
LOOSE = Limit(0.0, 9.0)
X = np.arange(6, dtype=np.float32).reshape(2, 3)
SQUARE = np.array([[[0, 1], [2, 3]]], np.float32)
PLAIN, TURNED = (0, 1, 2), (0, 2, 1)


def _along(*values: float, expected: float = 0.0) -> Comparison:
    found = Comparison(EXACT)
    found.add(np.full(len(values), expected, np.float32), np.array(values, np.float32))
    return found


@pytest.mark.parametrize(
    ("slopes", "watched", "code"),
    [
        ({"equal": False}, {"lost": "gone"}, "slopes_differ"),
        ({"equal": False, "moved": True}, {}, "slope_axes_differ"),
        ({"equal": False, "ambiguous": True, "moved": True}, {}, "axis_order_unknown"),
        ({"equal": True, "ambiguous": True}, {}, "layer_output_differs"),
        ({"equal": False, "rounded": True}, {}, "layer_output_differs"),
        ({"equal": True}, {"lost": "gone", "own_ulps": 9}, "layer_shape_differs"),
        ({"equal": True}, {"own_ulps": 5}, "layer_differs"),
        ({"equal": True}, {"own_ulps": 4}, "layer_output_differs"),
    ],
)
def test_what_differs_has_a_code(
    slopes: dict[str, Any], watched: dict[str, Any], code: str
) -> None:
    assert difference_code(SlopeDifference(**slopes), WatchedLayer(**watched)) == code


@pytest.mark.parametrize(
    ("watched", "words"),
    [
        ({}, None),
        ({"own_ulps": 4, "along": _along(0.0)}, None),
        ({"lost": "gone", "own_ulps": UNLIKE}, "gone"),
        (
            {"own_ulps": UNLIKE, "along": _along(1.0)},
            "in isolation it does not compute PReLU with the reference's slopes",
        ),
        ({"own_ulps": 1234, "along": _along(1.0)}, "isolated error 1,234 ulp"),
        (
            {"own_ulps": 4, "along": _along(0.0, 1.2345)},
            "its output differs from the reference's by up to 1.23",
        ),
        ({"along": _along(math.nan, expected=math.nan)}, "its output is NaN on both sides"),
    ],
)
def test_what_its_runs_say_against_it(watched: dict[str, Any], words: str | None) -> None:
    assert behaviour_of(WatchedLayer(**watched)) == words


def test_nothing_was_seen_at_first() -> None:
    nothing = WatchedLayer(along=None, own_ulps=None, lost=None, orders=None, turned=False)
    assert WatchedLayer() == nothing


@pytest.mark.parametrize(
    ("watched", "right"),
    [({}, True), ({"own_ulps": 4}, True), ({"own_ulps": 5}, False), ({"lost": "gone"}, False)],
)
def test_what_is_right_in_isolation(watched: dict[str, Any], right: bool) -> None:
    assert is_right(WatchedLayer(**watched, along=_along(1.0))) is right


@pytest.mark.parametrize(
    ("limit", "found", "orders", "same", "kept"),
    [
        (EXACT, SQUARE, [PLAIN, TURNED], True, {PLAIN}),
        (EXACT, SQUARE.transpose(TURNED), [PLAIN, TURNED], True, {TURNED}),
        (EXACT, SQUARE.transpose(TURNED), [PLAIN], False, set()),
        (LOOSE, SQUARE + 1, [PLAIN, TURNED], True, {PLAIN, TURNED}),
        (EXACT, SQUARE[0], [PLAIN, TURNED], False, set()),
        (EXACT, SQUARE, [], False, set()),
    ],
)
def test_the_orders_in_which_an_output_is_the_reference_s(
    limit: Limit, found: Array, orders: list[Any], same: bool, kept: set[Any]
) -> None:
    assert is_same(limit, SQUARE, found, AxisAlignment(orders)) is same
    assert agreeing(limit, SQUARE, found, AxisAlignment(orders)) == kept


def test_what_proves_nothing_is_not_the_same() -> None:
    nothing = np.full((1, 2, 2), math.nan, np.float32)
    assert not is_same(EXACT, nothing, nothing, AxisAlignment([PLAIN]))


def test_an_output_of_another_shape_is_lost() -> None:
    watched = WatchedLayer()
    follow(watched, EXACT, X, X[:1], AxisAlignment([(0, 1)]))
    assert (watched.lost, watched.along) == ("its output has shape [1, 3], expected [2, 3]", None)
    follow(watched, EXACT, X, X[0], AxisAlignment([(0, 1)]))
    assert watched.lost == ("its output has shape [3], expected [2, 3]")


def test_every_call_is_compared_within_its_own_limit() -> None:
    watched = WatchedLayer()
    one = AxisAlignment([(0, 1)])
    follow(watched, EXACT, X, X, one)
    assert watched.along is not None
    assert (watched.along.n_values, watched.along.verdict) == (6, "pass")
    follow(watched, LOOSE, X, X + 1, one)
    assert (watched.along.n_values, watched.along.verdict) == (12, "pass")
    assert (watched.along.max_abs, watched.orders, watched.lost) == (1.0, None, None)
    follow(watched, EXACT, X, X + 2, one)
    assert (watched.along.max_abs, watched.along.verdict) == (2.0, "fail")


def test_of_several_orders_those_are_kept_in_which_every_call_is_right() -> None:
    watched, orders = WatchedLayer(), AxisAlignment([PLAIN, TURNED])
    same = np.zeros_like(SQUARE)
    follow(watched, EXACT, same, same, orders)
    assert watched.orders == {PLAIN, TURNED}
    follow(watched, EXACT, SQUARE, SQUARE.transpose(TURNED), orders)
    assert watched.orders == {TURNED}
    follow(watched, EXACT, same, same, orders)
    assert watched.orders == {TURNED}
    follow(watched, EXACT, SQUARE, SQUARE, orders)
    assert watched.orders == set()
    assert watched.along is not None
    assert watched.along.verdict == "pass"
