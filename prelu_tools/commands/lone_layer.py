"""A layer of a candidate by itself: how its axes lie, and how far off its slopes are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import Permutation, candidates, moved_from
from prelu_tools.core.parity import ulps
from prelu_tools.core.slopes import PReLULayer

_OWN_ULPS = 4
"""Forms such as (1-a)*relu(x) + a*x round twice more than PRelu does."""


def axis_orders(
    mine: PReLULayer,
    other: PReLULayer,
    shape: tuple[int, ...],
    expected: tuple[int, ...] | None,
) -> list[Permutation]:
    """How the reference's axes may have become the candidate's: by what the node says, else shapes.

    What the user says of layouts is about inputs and outputs: inside, a converter has its own.
    Where several fit, a wrong one gives other values, so that the best of them counts.

    Args:
        mine: the reference's layer.
        other: the candidate's.
        shape: of its input.
        expected: the shape of the reference's; None where it is not known.
    """
    rank = len(shape)
    fitting = [
        order
        for order in candidates((None,) * rank if expected is None else expected, shape)
        if mine.slopes.ndim != rank or _lies(mine.slopes.transpose(order).shape, shape)
    ]
    alike = [
        order
        for order in fitting
        if mine.slopes.ndim == rank and mine.slopes.transpose(order).shape == other.slopes.shape
    ]
    fitting = alike or fitting
    stated = [order for order in fitting if order == moved_from(mine.axes, other.axes)]
    if len(other.nodes) > 1:  # what is stated is of the first call: others may lie otherwise
        stated += [order for order in fitting if order not in stated]
    return stated or fitting or [tuple(range(rank))]


def _lies(slopes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(a in (1, b) for a, b in zip(slopes, shape, strict=True))


def own_ulps(
    reference: PReLULayer, orders: Sequence[Permutation], x: Array, y: Array
) -> int | None:
    """The reference's slopes on a candidate's own input, against its own output, in ulps.

    None where the slopes cannot be laid over this input.
    """
    found = [_own(reference, order, x, y) for order in _laying(reference, orders, x.shape)]
    return min((value for value in found if value is not None), default=None)


def _laying(
    mine: PReLULayer, orders: Sequence[Permutation], shape: tuple[int, ...]
) -> Sequence[Permutation]:
    """Those of the orders in which the slopes lie on an input.

    Slopes lie as the first call of their layer has its axes: another call may have them otherwise
    in the reference itself, so that any usual order is tried where none of these fits.
    """
    rank = mine.slopes.ndim
    if rank != len(shape) or not orders:
        return orders
    usual = candidates((None,) * rank, (None,) * rank)
    for some in (orders, usual):
        fitting = [order for order in some if _lies(mine.slopes.transpose(order).shape, shape)]
        if fitting:
            return fitting
    return orders


def is_off(ulps_apart: int | None) -> bool:
    """Whether a layer by itself is farther from the reference's slopes than rounding."""
    return ulps_apart is not None and ulps_apart > _OWN_ULPS


def _own(mine: PReLULayer, order: Permutation, x: Array, y: Array) -> int | None:
    slopes = mine.slopes
    if slopes.size > 1 and slopes.ndim != x.ndim:
        return None
    laid = slopes.reshape(-1)[0] if slopes.size == 1 else slopes.transpose(order)
    laid = np.asarray(laid).astype(x.dtype)
    try:
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            expected = np.where(x > 0, x, laid * x)
    except ValueError:
        return None
    return _ulps_apart(expected, y)


def _ulps_apart(expected: Array, y: Array) -> int:
    """The largest difference in ulps of the layer's type, where both are finite."""
    if expected.shape != y.shape:
        return 2**62
    left, right = expected.astype(np.float64), y.astype(np.float64)
    finite = np.isfinite(left)
    unlike = (finite != np.isfinite(right)) | (np.isnan(left) != np.isnan(right))
    if unlike.any():
        return 2**62
    with np.errstate(over="ignore"):
        difference = np.abs(left[finite] - right[finite])
        size = np.maximum(np.abs(left[finite]), np.abs(right[finite]))
        return ulps(difference, size, y.dtype)
