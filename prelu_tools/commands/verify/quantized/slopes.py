"""Slopes of a quantized candidate, compared with the reference's within their quantization step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.prelu.slopediff import LayerPairs, pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.quantized.channels import inverted
from prelu_tools.graph.quantized.layers import slope_step

_HALF = 0.505  # of a step: the codes were rounded, and their scale is a float32
_COARSEST = 0.25
"""Of the size of a layer's slopes: a step above it proves nothing of them."""


def steps_of(located: Sequence[LocatedLayer]) -> dict[str, Array | float]:
    """The step of the slopes of each layer, by its name; 0 for slopes in floating point."""
    return {item.layer.name: slope_step(item) for item in located}


@dataclass(frozen=True)
class SnappedLayers:
    """The layers of both sides, with equal slopes where a step explains what differs."""

    pairs: LayerPairs
    """The pairs. The reference's slopes are inverted where the candidate's are; the candidate's
    are the reference's where they are near."""
    widths: Mapping[str, float]
    """By the name of the reference's layer, the largest step of its slopes."""
    apart: Mapping[str, float]
    """How far the slope that is farthest off is; NaN if they do not compare."""
    inverted: Mapping[str, Array]
    """Which slopes are the inverse of the reference's, laid as those are; of some layers only."""


def pair_snapped(
    references: Sequence[PReLULayer], located: Sequence[LocatedLayer]
) -> SnappedLayers:
    """Pair the layers, the candidate's slopes those of the reference where a step explains it.

    A slope a above 1 may be 1 / a in the candidate: it is right if the channel is negated there.
    """
    steps = steps_of(located)
    pairs = pair_layers(references, [item.layer for item in located])
    snapped, widths, apart, turned = [], {}, {}, {}
    for mine, other in pairs.pairs:
        step = steps.get(other.name, 0.0)
        is_turned = _inverted(mine.slopes, other.slopes, step)
        if is_turned.any():
            turned[mine.name] = is_turned
            values = np.where(is_turned, inverted(mine.slopes), mine.slopes)
            mine = replace(mine, slopes=frozen(values))
        near, off = _snap(mine.slopes, other.slopes, step)
        widths[mine.name], apart[mine.name] = float(np.max(step)), off
        snapped.append((mine, replace(other, slopes=frozen(near))))
    return SnappedLayers(replace(pairs, pairs=tuple(snapped)), widths, apart, turned)


def is_coarse(slopes: Array, step: float) -> bool:
    """Whether a step is so wide that slopes within it prove nothing."""
    return step > _COARSEST * max(float(np.abs(slopes).max(initial=0.0)), 0.05)


def _orders(mine: Array, other: Array) -> Iterator[tuple[Permutation | None, Array]]:
    """The reference's slopes laid as the candidate's may be, float64."""
    for order in AxisAlignment.usual(mine.ndim) if mine.ndim == other.ndim else [None]:
        laid = mine if order is None else mine.transpose(order)
        if laid.size == other.size and (order is None or laid.shape == other.shape):
            yield order, laid.reshape(other.shape).astype(np.float64)


def _is_within(laid: Array, other: Array, step: Array | float) -> Array:
    width = np.asarray(step, np.float64)
    width = width.reshape(other.shape) if width.size == other.size else width
    room = _HALF * width + 1e-6 * np.maximum(np.abs(laid), width)
    return np.asarray(np.abs(other - laid) <= (room if float(np.max(step)) > 0 else 0.0))


def _inverted(mine: Array, other: Array, step: Array | float) -> Array:
    """Which slopes of the reference the candidate has as their inverse, and not as they are."""
    best, most = np.zeros(mine.shape, bool), 0
    others = inverted(mine)
    for order, laid in _orders(mine, other):
        turned = others if order is None else others.transpose(order)
        fits = _is_within(turned.reshape(other.shape).astype(np.float64), other, step)
        is_turned = (laid > 1) & fits & ~_is_within(laid, other, step)
        total = int((is_turned | _is_within(laid, other, step)).sum())
        if is_turned.any() and total > most:
            most = total
            back = is_turned if order is None else is_turned.transpose(np.argsort(order))
            best = back.reshape(mine.shape)
    return best


def _snap(mine: Array, other: Array, step: Array | float) -> tuple[Array, float]:
    """The candidate's slopes, of which those are the reference's that are within half a step."""
    best, off = other, float("nan")
    if not float(np.max(step)) > 0:
        return best, 0.0
    most = -1
    for _, laid in _orders(mine, other):
        within = _is_within(laid, other, step)
        if int(within.sum()) > most:
            most, off = int(within.sum()), float(np.abs(other - laid).max(initial=0.0))
            best = np.where(within, laid, other).astype(mine.dtype)
    if most < 0 and 1 in (mine.size, other.size):  # one slope for all, where there were several
        near = np.abs(other.astype(np.float64) - mine.astype(np.float64).reshape(-1)[:1])
        if mine.size == 1 and float(near.max(initial=0.0)) <= _HALF * float(np.max(step)):
            return mine.reshape((1,) * max(other.ndim, 1)), float(near.max(initial=0.0))
    return best, off
