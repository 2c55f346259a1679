"""A layer of a candidate in isolation: its axis order, and the error of its slopes."""

from __future__ import annotations

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation, moved_from
from prelu_tools.core.prelu.slopes import PReLULayer, broadcasts, laid_over
from prelu_tools.core.rounding.parity import ulps

_OWN_ULPS = 4
"""Forms such as (1-a)*relu(x) + a*x round twice more than PRelu does."""
UNLIKE = 2**62
"""In place of a number of ulps: NaN, an infinity or a shape on one side only; other integers."""


def axis_orders(
    mine: PReLULayer,
    other: PReLULayer,
    shape: tuple[int, ...],
    expected: tuple[int, ...] | None,
) -> AxisAlignment:
    """The possible axis orders from reference to candidate: as the node says, otherwise by shapes.

    The user's layouts are for inputs and outputs: inside, a converter has its own. If several
    orders fit, a wrong one gives other values, so the best one counts.

    Args:
        mine: the reference's layer.
        other: the candidate's.
        shape: of its input.
        expected: the shape of the reference's; None if it is not known.
    """
    rank = len(shape)
    slopes, others = laid_over(mine, rank), laid_over(other, rank)
    if mine.slopes.ndim != rank and expected is not None and slopes is not None:
        slopes = slopes if len(expected) == rank and broadcasts(slopes.shape, expected) else None
    fitting = AxisAlignment.inside((None,) * rank if expected is None else expected, shape)
    if slopes is not None:
        fitting = fitting.laying(slopes.shape, shape)
        if others is not None:
            fitting = fitting.taking(slopes.shape, others.shape) or fitting
    said = moved_from(mine.axes, other.axes)
    if len(other.nodes) > 1:  # what is stated is of the first call: others may have other axes
        fitting = AxisAlignment(sorted(fitting, key=lambda order: order != said))
    else:
        fitting = fitting.only(said)
    return fitting or AxisAlignment([tuple(range(rank))])


def turned_orders(
    mine: PReLULayer, other: PReLULayer, shape: tuple[int, ...], expected: tuple[int, ...]
) -> AxisAlignment:
    """Unusual orders in which one layer's slopes are the other's: for values to decide.

    Between axes of one size shapes do not show that a converter has left out a Transpose.
    """
    slopes, others = (laid_over(layer, len(shape)) for layer in (mine, other))
    if slopes is None or others is None:
        return AxisAlignment()
    every = AxisAlignment(o for o in AxisAlignment.every(expected, shape) if o[:1] == (0,))
    return every.equating(slopes, others)


def own_ulps(reference: PReLULayer, orders: AxisAlignment, x: Array, y: Array) -> int | None:
    """The reference's slopes on a candidate's own input, against its own output, in ulps.

    None if the slopes cannot be laid over this input.
    """
    found = [_own(reference, order, x, y) for order in _laying(reference, orders, x.shape)]
    return min((value for value in found if value is not None), default=None)


def _laying(mine: PReLULayer, orders: AxisAlignment, shape: tuple[int, ...]) -> AxisAlignment:
    """The axis orders in which the slopes broadcast to an input.

    Slopes lie as the first call of their layer has its axes: another call may have them otherwise
    in the reference itself, so that any usual order is tried where none of these fits.
    """
    rank = len(shape)
    slopes = laid_over(mine, rank)
    if slopes is None or not orders:
        return orders
    some = orders.laying(slopes.shape, shape)
    return some or AxisAlignment.usual(rank).laying(slopes.shape, shape) or orders


def is_off(ulps_apart: int | None) -> bool:
    """Whether a layer by itself is farther from the reference's slopes than rounding."""
    return ulps_apart is not None and ulps_apart > _OWN_ULPS


def _own(mine: PReLULayer, order: Permutation, x: Array, y: Array) -> int | None:
    slopes = laid_over(mine, x.ndim)
    if slopes is None:
        return None
    try:
        return apart(slopes.transpose(order), x, y, mine.rounds)
    except ValueError:
        return None


def apart(slopes: Array, x: Array, y: Array, rounds: bool = False) -> int:
    """How far a layer's output is from PReLU of its input with these slopes, in ulps.

    Args:
        slopes: the layer's.
        x: its input.
        y: its output.
        rounds: whether it adds parts of x that cancel: then these ulps are those of x too.

    Raises:
        ValueError: the slopes do not broadcast to the input.
    """
    laid = slopes.astype(x.dtype)
    with np.errstate(all="ignore"):
        expected = np.where(x > 0, x, laid * x)
    if expected.shape != y.shape:
        return UNLIKE
    least = np.abs(x) if rounds else np.zeros(())
    return _ulps_apart(expected, y, least, _is_settled(laid, x))


def is_prelu_of(slopes: Array, x: Array, y: Array) -> bool:
    """Whether y is PReLU of x with these slopes, up to the rounding of any way to compute it.

    Some ways add halves of x that cancel: their rounding error is relative to x, not to y.
    """
    try:
        with np.errstate(all="ignore"):
            expected = np.where(x > 0, x, slopes.astype(np.float64) * x)
            size = np.maximum(np.abs(expected), np.abs(x.astype(np.float64)))
            room = 2 * _OWN_ULPS * max(float(np.finfo(a.dtype).eps) for a in (x, y)) * size
            return bool((np.abs(y - expected) <= room + np.finfo(y.dtype).tiny).all())
    except ValueError:
        return False


def effective_slopes(slopes: Array, x: Array, y: Array) -> Array:
    """The slopes of a layer by its values: y / x where x is most negative; NaN if no x is negative.

    Args:
        slopes: any that broadcast to x like the layer's.
        x: its input.
        y: its output.
    """
    axes = tuple(axis for axis, size in enumerate(slopes.shape) if size == 1)
    depth = np.where(x < 0, -x.astype(np.float64), 0)
    deepest = (depth == depth.max(axis=axes, keepdims=True)) & (depth > 0)
    with np.errstate(all="ignore"):
        ratio = np.where(deepest, y.astype(np.float64) / x, 0).sum(axis=axes, keepdims=True)
        return np.asarray(ratio / deepest.sum(axis=axes, keepdims=True))


def _is_settled(slopes: Array, x: Array) -> Array:
    """Where PReLU's definition decides: a kernel may multiply an x > 0 by its slope and by 0.

    A slope that is NaN or infinite makes a NaN of that.
    """
    return np.asarray(np.broadcast_to(np.isfinite(slopes), x.shape) | (x < 0))


def _ulps_apart(expected: Array, y: Array, least: Array, settled: Array) -> int:
    """The largest difference in ulps of the layer's type; `UNLIKE` where that says nothing.

    Ulps of the larger of both values, or of `least` where that is larger.
    """
    left, right = expected[settled], y[settled]
    least = np.broadcast_to(least, y.shape)[settled].astype(np.float64)
    if not np.issubdtype(y.dtype, np.inexact):
        return 0 if np.array_equal(left, right) else UNLIKE
    left, right = left.astype(np.float64), right.astype(np.float64)
    finite = np.isfinite(left) & np.isfinite(right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    if not (finite | same).all():
        return UNLIKE
    with np.errstate(all="ignore"):
        difference = np.abs(left[finite] - right[finite])
        size = np.maximum(np.maximum(np.abs(left), np.abs(right)), least)[finite]
        return ulps(difference, size, y.dtype)
