"""The 8-bit range of each PReLU's input and result: the one that loses least.

Values far below 0 matter little after PReLU, because they are multiplied by a slope, yet they take
codes away from positive values. So several ends are tried on both sides, and the mean squared error
of the layer's output decides. It includes rounding and clipping, in both branches, with the true
slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.core.arrays import Array

_LOWS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
_HIGHS = (1.0, 0.95, 0.9)  # a smaller range would clip other data: measured on photographs
_N_CODES = 256  # of 8 bits
_MOST = 40_000  # values of a layer that are kept
FASTEST, NOTICEABLE, EXACT = float("inf"), 1.1, 1.0
"""The gain that justifies two scales: none if one scale suffices; 0.4 dB; any gain."""


@dataclass(frozen=True)
class BestRange:
    """The ranges of one layer, and their loss."""

    x: tuple[float, float]
    """The range of its input."""
    y: tuple[float, float]
    """The range of its result; the same as the input's if both share a scale."""
    error: float
    """Mean squared error of its result."""


Rounding = Callable[[Array, Array, float, float], BestRange]
"""The effect of rounding to the codes of a range on values with these slopes."""


@dataclass
class RangeSample:
    """Values of one layer's input over the calibration data, each with its slope."""

    low: float = 0.0
    high: float = 0.0
    _x: list[Array] = field(default_factory=list)
    _slopes: list[Array] = field(default_factory=list)
    _found: dict[Rounding, BestRange] = field(default_factory=dict)

    def add(self, x: Array, slopes: Array, seed: int) -> None:
        """One call: a part of its values, drawn at random."""
        self.low = min(self.low, float(x.min(initial=0.0)))
        self.high = max(self.high, float(x.max(initial=0.0)))
        laid = np.broadcast_to(slopes, x.shape).reshape(-1)
        flat = x.reshape(-1)
        if flat.size > _MOST // 4:
            chosen = np.random.default_rng(seed).integers(0, flat.size, _MOST // 4)
            flat, laid = flat[chosen], laid[chosen]
        self._x.append(np.array(flat, np.float32))
        self._slopes.append(np.array(laid, np.float32))

    def best(self, worth: float = NOTICEABLE) -> BestRange:
        """The ranges that lose least.

        With one scale for the input and the result, all that is positive is kept exactly; with two,
        the result may have finer steps, where most of it is small. That costs operators.

        Args:
            worth: how many times the squared error of two scales one may have instead.
        """
        shares = all((slopes <= 1).all() for slopes in self._slopes)
        if shares and worth == FASTEST:
            return self._least(_shared)
        apart = self._least(_apart)
        if not shares:
            return apart
        shared = self._least(_shared)
        return apart if shared.error > worth * apart.error else shared

    def _least(self, rounding: Rounding) -> BestRange:
        if rounding not in self._found:
            x, slopes = np.concatenate(self._x), np.concatenate(self._slopes)
            if x.size > _MOST:
                chosen = np.random.default_rng(0).integers(0, x.size, _MOST)
                x, slopes = x[chosen], slopes[chosen]
            lows = sorted({share * self.low for share in _LOWS})
            highs = sorted({share * self.high for share in _HIGHS}, reverse=True)
            tried = (rounding(x, slopes, low, high) for low in lows for high in highs)
            self._found[rounding] = min(tried, key=lambda found: found.error)
        return self._found[rounding]


def _codes(values: Array, low: float, high: float) -> Array:
    """The numbers nearest to values among those that codes of a range stand for."""
    step = np.float32(max(high - low, 1e-30) / (_N_CODES - 1))
    zero = np.float32(np.round(-low / step))
    return np.asarray((np.clip(np.round(values / step) + zero, 0, _N_CODES - 1) - zero) * step)


def _shared(x: Array, slopes: Array, low: float, high: float) -> BestRange:
    """max(x, a * x), all with one scale."""
    reals = _codes(x, low, high)
    scaled = _codes(slopes * reals, low, high)
    found = np.where(reals > 0, reals, scaled)
    return BestRange((low, high), (low, high), _error(found, x, slopes))


def _apart(x: Array, slopes: Array, low: float, high: float) -> BestRange:
    """max(x, 0) + a * min(x, 0): each branch and the sum with its own scale."""
    reals = _codes(x, low, high)
    ends = slopes * np.float32(low)
    least, most = min(float(ends.min(initial=0.0)), 0.0), max(float(ends.max(initial=0.0)), 0.0)
    negative = _codes(slopes * np.minimum(reals, 0), least, most)
    result = np.maximum(reals, 0) + negative
    ends_of = float(min(result.min(initial=0.0), 0.0)), float(max(result.max(initial=0.0), 0.0))
    found = _codes(result, *ends_of)
    return BestRange((low, high), ends_of, _error(found, x, slopes))


def _error(found: Array, x: Array, slopes: Array) -> float:
    right = np.where(x > 0, x, slopes * x)
    return float(((found - right).astype(np.float64) ** 2).mean())
