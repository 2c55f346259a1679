"""The range of each PReLU's input and result in 8 bits: the one that loses least behind it.

What is far below 0 is worth little behind PReLU, as it is multiplied by a slope; yet it takes codes
away from all that is positive. So both ends are tried, and the mean squared error of the layer's
output decides: the errors of rounding and of cutting off, at both branches, with their true slopes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from prelu_tools.core.arrays import Array

_LOWS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
_HIGHS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
_MOST = 60_000  # values of a layer that are kept


@dataclass
class RangeSample:
    """Values of one layer's input over the calibration data, each with its slope."""

    low: float = 0.0
    high: float = 0.0
    _x: list[Array] = field(default_factory=list)
    _slopes: list[Array] = field(default_factory=list)

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

    def best(self, n_codes: int = 256) -> tuple[float, float]:
        """The range that loses least; the whole one where nothing is gained."""
        x, slopes = np.concatenate(self._x), np.concatenate(self._slopes)
        if x.size > _MOST:
            chosen = np.random.default_rng(0).integers(0, x.size, _MOST)
            x, slopes = x[chosen], slopes[chosen]
        right = np.where(x > 0, x, slopes * x)
        least, found = np.inf, (self.low, self.high)
        for low in {share * self.low for share in _LOWS}:
            for high in {share * self.high for share in _HIGHS}:
                if not high - low > 0:
                    continue
                off = _rounded(x, slopes, low, high, n_codes) - right
                error = float((off.astype(np.float64) ** 2).mean())
                is_wider = (high, -low) > (found[1], -found[0])
                if error < least or (error == least and is_wider):
                    least, found = error, (low, high)
        return found


def _rounded(x: Array, slopes: Array, low: float, high: float, n_codes: int) -> Array:
    """max(x, a * x) as integer kernels compute it."""
    step = np.float32((high - low) / (n_codes - 1))
    zero = np.float32(np.round(-low / step))
    codes = np.clip(np.round(x / step) + zero, 0, n_codes - 1)
    reals = (codes - zero) * step
    scaled = np.clip(np.round(slopes * reals / step) + zero, 0, n_codes - 1)
    return np.asarray(np.where(reals > 0, reals, (scaled - zero) * step), np.float32)
