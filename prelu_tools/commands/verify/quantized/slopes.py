"""Slopes of a quantized candidate, compared with the reference's within their quantization step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopediff import LayerPairs, pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.quantized.layers import slope_step

_HALF = 0.505  # of a step: the codes were rounded, and their scale is a float32
_COARSEST = 0.25
"""Of the size of a layer's slopes: a step above it proves nothing of them."""


def steps_of(located: Sequence[LocatedLayer]) -> dict[str, Array | float]:
    """The step of the slopes of each layer, by its name; 0 for slopes in floating point."""
    return {item.layer.name: slope_step(item) for item in located}


def pair_snapped(
    references: Sequence[PReLULayer], located: Sequence[LocatedLayer]
) -> tuple[LayerPairs, dict[str, float], dict[str, float]]:
    """Pair the layers, the candidate's slopes those of the reference where a step explains it.

    Returns:
        The pairs; for the name of each layer of the reference the largest step of its slopes, and
        how far the slope that is farthest off is from the reference's; NaN if they do not compare.
    """
    steps = steps_of(located)
    pairs = pair_layers(references, [item.layer for item in located])
    snapped, widths, apart = [], {}, {}
    for mine, other in pairs.pairs:
        step = steps.get(other.name, 0.0)
        near, off = _snap(mine.slopes, other.slopes, step)
        widths[mine.name], apart[mine.name] = float(np.max(step)), off
        snapped.append((mine, replace(other, slopes=frozen(near))))
    return replace(pairs, pairs=tuple(snapped)), widths, apart


def is_coarse(slopes: Array, step: float) -> bool:
    """Whether a step is so wide that slopes within it prove nothing."""
    return step > _COARSEST * max(float(np.abs(slopes).max(initial=0.0)), 0.05)


def _snap(mine: Array, other: Array, step: Array | float) -> tuple[Array, float]:
    """The candidate's slopes, of which those are the reference's that are within half a step."""
    best, off = other, float("nan")
    if not float(np.max(step)) > 0:
        return best, 0.0
    most = -1
    for order in AxisAlignment.usual(mine.ndim) if mine.ndim == other.ndim else [None]:
        laid = mine if order is None else mine.transpose(order)
        if laid.size != other.size or (order is not None and laid.shape != other.shape):
            continue
        laid = laid.reshape(other.shape).astype(np.float64)
        width = np.asarray(step, np.float64)
        width = width.reshape(other.shape) if width.size == other.size else width
        distance = np.abs(other - laid)
        within = distance <= _HALF * width + 1e-6 * np.maximum(np.abs(laid), width)
        if int(within.sum()) > most:
            most, off = int(within.sum()), float(distance.max(initial=0.0))
            best = np.where(within, laid, other).astype(mine.dtype)
    if most < 0 and 1 in (mine.size, other.size):  # one slope for all, where there were several
        near = np.abs(other.astype(np.float64) - mine.astype(np.float64).reshape(-1)[:1])
        if mine.size == 1 and float(near.max(initial=0.0)) <= _HALF * float(np.max(step)):
            return mine.reshape((1,) * max(other.ndim, 1)), float(near.max(initial=0.0))
    return best, off
