"""Observations of one layer while the candidate ran, and the faults that they show."""

from __future__ import annotations

from dataclasses import dataclass

from prelu_tools.commands.verify.layers.isolated import UNLIKE, is_off
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.prelu.slopediff import SlopeDifference
from prelu_tools.core.rounding.figures import ulps
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.tolerance import Limit

SHAPE = "layer_shape_differs"
AXES = "slope_axes_differ"
DIFFER = "slopes_differ"
OUTPUT = "layer_output_differs"


@dataclass
class WatchedLayer:
    """Observations of one layer while the candidate ran."""

    along: Comparison | None = None
    own_ulps: int | None = None
    lost: str | None = None
    orders: frozenset[Permutation] | None = None
    """The axis orders in which all its outputs are the reference's; None if there is only one."""
    turned: bool = False
    """Whether its outputs matched the reference's in an axis order that only the slopes show."""


def difference_code(slopes: SlopeDifference, watched: WatchedLayer) -> str:
    """The code of the difference."""
    if not slopes.same:
        return "axis_order_unknown" if slopes.ambiguous else AXES if slopes.moved else DIFFER
    if watched.lost:
        return SHAPE
    return "layer_differs" if is_off(watched.own_ulps) else OUTPUT


def behaviour_of(watched: WatchedLayer) -> str | None:
    """The fault that its runs show, in words."""
    if watched.lost:
        return watched.lost
    if watched.own_ulps == UNLIKE:
        return "in isolation it does not compute PReLU with the reference's slopes"
    if watched.own_ulps is not None and is_off(watched.own_ulps):
        return f"isolated error {ulps(watched.own_ulps)}"
    along = watched.along
    if along is not None and along.verdict == "fail":
        return f"its output differs from the reference's by up to {along.max_abs:.3g}"
    return f"its output {along.doubt}" if along is not None and along.doubt else None


def is_same(limit: Limit, expected: Array, y: Array, orders: AxisAlignment) -> bool:
    """Whether an output is the reference's in one of these orders of axes."""
    found = Comparison(limit)
    nearest = orders.nearest(expected, y)
    if nearest is not None:
        found.add(expected, nearest)
    return nearest is not None and found.verdict == "pass"


def agreeing(
    limit: Limit, expected: Array, y: Array, orders: AxisAlignment
) -> frozenset[Permutation]:
    """The orders in which the output is the reference's."""
    alone = ((order, AxisAlignment([order])) for order in orders)
    return frozenset(order for order, one in alone if is_same(limit, expected, y, one))


def follow(
    watched: WatchedLayer, limit: Limit, expected: Array, y: Array, orders: AxisAlignment
) -> None:
    """Compare the layer's output with the reference's."""
    nearest = orders.nearest(expected, y)
    if nearest is None:
        watched.lost = f"its output has shape {list(y.shape)}, expected {list(expected.shape)}"
        if y.ndim != expected.ndim and _squeezed(y) == _squeezed(expected):
            watched.lost += (
                " (perhaps a squeeze() in the reference, which drops every axis of size 1: name "
                "its axes)"
            )
        return
    if watched.along is None:
        watched.along = Comparison(limit)
    watched.along.add(expected, nearest, limit)
    if len(orders) > 1:
        same = agreeing(limit, expected, y, orders)
        watched.orders = same if watched.orders is None else watched.orders & same


def _squeezed(values: Array) -> list[int]:
    """Its sizes of more than 1, in any order."""
    return sorted(size for size in values.shape if size != 1)


def is_right(watched: WatchedLayer) -> bool:
    """Whether nothing speaks against the layer in isolation."""
    return watched.lost is None and not is_off(watched.own_ulps)
