"""What the perturbed runs show for each value: how far rounding may move it, and borders."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.noise import REACH

_POOLED = 4.0  # runs that the neighbours of a value count for
_USUAL = (6 + _POOLED) / 6
_ROUGH = np.float32(0.05)  # of the size of the values around: more does not grow in proportion
_MOSTLY = 0.25  # of the values of a row
_ROUGHER = np.float32(32.0)  # pure rounding error may have any size
_ALIKE = np.float32(0.05)  # of how far it is off
_FEWEST = 4  # values along an axis that make neighbours
_TYPES = {  # bits of the mantissa, and the exponent of the smallest normal number, as frexp has it
    "float64": (53, -1021), "float32": (24, -125), "bfloat16": (8, -125), "float16": (11, -13),
}  # fmt: skip
_APART = 64.0  # times the usual spread around it: no rounding that grows with its neighbours'


@dataclass(frozen=True)
class Spread:
    """How far rounding may take each value of one tensor, in one run."""

    scale: Array
    """The effect of one rounding at each operator; of the tensor's shape."""
    border: Array | None = None
    """Where another side of a discontinuity was reached; None if nowhere."""
    n_flips: int = 0
    """How many values those are."""
    reach: Array | None = None
    """How far a value on a border may be off: twice the longest jump in its row; broadcasts."""
    lost: Array | None = None
    """Where a perturbed run was not finite; None if nowhere."""
    rough: Array | None = None
    """Values that are only rounding: the perturbed runs move them by about their distance from
    0."""


class SpreadBook:
    """Collects the perturbed runs of one tensor next to the unperturbed run."""

    def __init__(self, base: Array) -> None:
        """Nothing is collected yet.

        Args:
            base: the outputs of the unperturbed run.
        """
        self._base = base
        self._floats = np.issubdtype(base.dtype, np.floating)
        self._norm = np.zeros(base.shape if self._floats else (), np.float32)
        self._farthest = np.zeros_like(self._norm)
        self._nearest = [np.full_like(self._norm, np.inf) for _ in range(2)]
        self._flipped = np.zeros(base.shape, bool)
        self._lost = np.zeros(base.shape, bool)
        self._jump = np.zeros(base.shape, np.float32)
        self._n_flips = 0
        self._runs = 0

    def add(self, values: Array) -> None:
        """One perturbed run. Another shape is another side everywhere: sizes depend on values."""
        self._runs += 1
        if values.shape != self._base.shape:
            flips = np.ones(self._base.shape, bool)
            self._jump = np.maximum(self._jump, _extent(self._base))
        elif self._floats:
            flips = np.isfinite(self._base) & ~np.isfinite(values)
            self._lost |= flips
            self._add_floats(values)
        else:
            flips = values != self._base
            apart = np.abs(values.astype(np.float64) - self._base)
            self._jump = np.maximum(self._jump, apart.astype(np.float32))
        self._flipped |= flips
        self._n_flips = max(self._n_flips, int(flips.sum()))

    @np.errstate(all="ignore")
    def _add_floats(self, values: Array) -> None:
        apart = np.abs(values.astype(np.float64) - self._base).astype(np.float32)
        apart = np.where(np.isfinite(apart), apart, np.float32(0))  # of no axes too
        self._norm = np.hypot(self._norm, apart)  # squares would overflow, or vanish
        np.maximum(self._farthest, apart, out=self._farthest)
        first, second = self._nearest
        np.minimum(second, np.maximum(first, apart), out=second)
        np.minimum(first, apart, out=first)

    @np.errstate(all="ignore")
    def finished(self) -> Spread:
        """Their combined spread."""
        if not self._floats or not self._base.size:
            return Spread(np.zeros((), np.float32), *self._borders(self._flipped))
        own = _own(self._norm, self._runs)
        around = _around(own, self._base)
        usual = np.maximum(around, unit_of(self._base, np.dtype(np.float32)))
        jumped = (self._farthest > _APART * REACH * usual) & (
            self._farthest > _APART * self._nearest[1]
        )
        self._jump = np.where(jumped, np.maximum(self._jump, self._farthest), self._jump)
        own = np.where(jumped, around, own)  # on its own side of the border it is as the others
        scale, rough = _pooled(own, around, self._runs, self._base)
        found = Spread(scale, *self._borders(self._flipped | jumped))
        return replace(found, rough=rough if rough.any() else None)

    @property
    def is_elsewhere(self) -> bool:
        """Whether most values are off alike in all runs: what was perturbed is another function."""
        if not self._base.size:
            return False
        least = self._nearest[0]  # infinite, and so nowhere alike, for what is not floating
        alike = (self._farthest - least <= _ALIKE * least) & np.isfinite(least)
        alike &= least > _APART * REACH * unit_of(self._base, np.dtype(np.float32))
        return self._runs > 1 and bool(alike.mean() > _MOSTLY)

    def _borders(self, flipped: Array) -> tuple[Array | None, int, Array | None, Array | None]:
        count = int(flipped.sum())
        if not count:
            return None, 0, None, None
        inner = tuple(range(1, self._base.ndim))
        reach = 2 * self._jump.max(inner or None, keepdims=True)
        lost = self._lost if self._lost.any() else None
        return flipped, max(count, self._n_flips), reach, lost


def _extent(values: Array) -> float:
    """From the smallest to the largest finite value."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(np.float32(np.ptp(finite))) if finite.size else 0.0


@np.errstate(all="ignore")
def pooled(norm: Array, runs: int, base: Array) -> Array:
    """The scale of the effect of rounding on each value.

    Args:
        norm: of the differences from the unperturbed run: the root of the sum of their squares over
            the perturbed runs.
        runs: how many these were.
        base: the values of the unperturbed run.
    """
    if not base.size:
        return np.zeros(base.shape, np.float32)
    own = _own(norm, runs)
    return _pooled(own, _around(own, base), runs, base)[0]


def _own(norm: Array, runs: int) -> Array:
    return norm / np.float32(math.sqrt(max(runs, 1)) * REACH)


def _pooled(own: Array, around: Array, runs: int, base: Array) -> tuple[Array, Array]:
    """The scale, and which values are made of rounding."""
    shares = np.sqrt(np.array([runs, _POOLED], np.float32) / np.float32(runs + _POOLED))
    scale = np.hypot(shares[0] * own, shares[1] * around)
    rough = own * np.float32(REACH) > _ROUGH * _typical(base)
    if base.ndim > 1 and base.size:  # a row that mostly is made of rounding is so everywhere
        inner = tuple(range(1, base.ndim))
        rows = rough.mean(inner, keepdims=True) > _MOSTLY
        scale = np.where(rows, np.maximum(scale, own.mean(inner, keepdims=True)), scale)
        rough |= rows
    scale = np.where(rough, _ROUGHER * scale, scale)
    few = math.sqrt((runs + _POOLED) / max(runs, 1) / _USUAL)  # of few runs a chance is larger
    return (scale * np.float32(max(few, 1.0))).astype(np.float32), rough


def _typical(base: Array) -> Array:
    """The size of the values around each: their mean along the axes, the smallest of them."""
    size = np.where(np.isfinite(base), np.abs(base), 0).astype(np.float32)
    low = np.full(base.shape, np.inf, np.float32)
    axes: list[Any] = [axis for axis, length in enumerate(base.shape) if length >= _FEWEST]
    for axis in axes or [None]:
        np.minimum(low, size.mean(axis, keepdims=True), out=low)
    return low


def _around(own: Array, values: Array) -> Array:
    """The spread of the neighbours of each value, to recognise one that is small by chance.

    The geometric mean along each axis, of the spread and of the spread relative to the values; the
    smallest of them. What cancellation left, next to the kink of a PReLU too, may have the spread
    of larger neighbours. Values that did not move at all do not count: they are exact, like the 0
    of a ReLU.
    """
    size = np.abs(values).astype(np.float32)
    logs = np.log(own)
    relative = logs - np.log(size)
    moved = np.isfinite(logs) & np.isfinite(relative)
    is_rest = own * np.float32(REACH) > _ROUGH * size
    if not moved.any():
        return own
    low = np.full(own.shape, np.inf, np.float32)
    axes: list[Any] = [axis for axis, length in enumerate(own.shape) if length >= _FEWEST]
    for axis in axes or [None]:
        count = np.maximum(moved.sum(axis, keepdims=True), 1)
        usual, share = (
            np.exp(np.where(moved, logarithms, np.float32(0)).sum(axis, keepdims=True) / count)
            for logarithms in (logs, relative)
        )
        spread = np.where(is_rest & (size < usual), usual, np.minimum(usual, share * size))
        np.minimum(low, spread.astype(np.float32), out=low)
    return np.where(moved, low, own)


@np.errstate(all="ignore")
def unit_of(values: Array, dtype: np.dtype[Any]) -> Array:
    """The distance of each value to the next number of a type; 0 for values that are not finite."""
    bits, smallest = _TYPES.get(dtype.name, _TYPES["float64"])
    _, exponent = np.frexp(values.astype(np.float64))
    exponent = np.where(values == 0, smallest, exponent)
    unit = np.ldexp(1.0, np.maximum(exponent, smallest) - bits)
    return np.where(np.isfinite(values), unit, 0.0)
