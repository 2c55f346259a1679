"""Slopes of a quantized candidate, compared with the reference's within their quantization step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopediff import LayerPairs, pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.quantized.channels import inverted
from prelu_tools.graph.quantized.layers import slope_step

_HALF = 0.505  # of a step: the codes were rounded, and their scale is a float32
_COARSEST = 0.25
"""Relative to a layer's largest slope: a wider step proves nothing about the slopes."""


def steps_of(located: Sequence[LocatedLayer]) -> dict[str, Array | float]:
    """The step of the slopes of each layer, by its name; 0 for slopes in floating point."""
    return {item.layer.name: slope_step(item) for item in located}


@dataclass(frozen=True)
class SnappedLayers:
    """The layers of both sides, with equal slopes where the step explains the difference."""

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


def _inverted(mine: Array, other: Array, step: Array | float) -> Array:
    """Which slopes of the reference the candidate has as their inverse, and not as they are."""
    best, most = np.zeros(mine.shape, bool), 0
    places = np.arange(mine.size).reshape(mine.shape)
    orders = (_laid(values, other) for values in (mine, inverted(mine), places))
    for laid, inverse, place in zip(*orders, strict=True):
        as_it_is, fits = (_is_within(each, other, step) for each in (laid, inverse))
        found = (laid > 1) & fits & ~as_it_is
        total = int((found | as_it_is).sum())
        if total > most:
            most = total
            best = np.isin(np.arange(mine.size), place[found]).reshape(mine.shape)
    return best


def _snap(mine: Array, other: Array, step: Array | float) -> tuple[Array, float]:
    """The candidate's slopes, replaced by the reference's where these are within half a step."""
    if not float(np.max(step)) > 0:
        return other, 0.0
    found = [_within(laid, other, step) for laid in _laid(mine, other)]
    if found:
        _, best, off = max(found, key=lambda each: each[0])
        return best.astype(mine.dtype), off
    if mine.size == 1:  # one slope for all, instead of several
        off = float(np.abs(other.astype(np.float64) - mine.item()).max(initial=0.0))
        if off <= _HALF * float(np.max(step)):
            return mine.reshape((1,) * other.ndim), off
    return other, float("nan")


def _laid(mine: Array, other: Array) -> Iterator[Array]:
    """The reference's slopes in each order in which they have the candidate's shape."""
    if mine.ndim == other.ndim:
        turned = (mine.transpose(order) for order in AxisAlignment.usual(mine.ndim))
        yield from (laid for laid in turned if laid.shape == other.shape)
    elif mine.size == other.size:
        yield mine.reshape(other.shape)


def _within(laid: Array, other: Array, step: Array | float) -> tuple[int, Array, float]:
    """How many slopes are within half a step, the slopes that are meant, and how far one is off."""
    wide = laid.astype(np.float64)
    within = _is_within(wide, other, step)
    return (
        int(within.sum()), np.where(within, wide, other),
        float(np.abs(other - wide).max(initial=0.0)),
    )  # fmt: skip


def _is_within(laid: Array, other: Array, step: Array | float) -> Array:
    """Which slopes are within half a step; equal, if there are no steps."""
    width = np.asarray(step)
    width = width.reshape(other.shape) if width.size == other.size else width
    wide = laid.astype(np.float64)
    room = _HALF * width + 1e-6 * np.maximum(np.abs(wide), width)
    return np.asarray(np.abs(other - wide) <= (room if float(np.max(step)) > 0 else 0.0))
