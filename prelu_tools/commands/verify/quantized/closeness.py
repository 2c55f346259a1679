"""Is a difference as large as rounding to codes makes it? By the size that drawn rounding has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from prelu_tools.core.arrays import Array

_WHOLE, _PART, _ONE = 3.0, 4.0, 12.0
"""How many times the drawn noise a tensor, a channel and a single value may be off."""
_MOST_PARTS = 4096
_FEW = 0.02


class Closeness:
    """Differences of one output over all runs, against drawn rounding of known steps.

    Rounding to codes is noise whose size is known: half a step either way. What it does to an
    output is drawn a few times; the real rounding has the same size, by root mean square over
    all values, and over each channel, so that a fault in one channel does not hide.
    """

    def __init__(self) -> None:
        """Nothing has been compared yet."""
        self._off: list[Array] = []
        self._noise: list[Array] = []
        self.worst = 0.0
        """The largest share of what is allowed; above 1 the difference is no rounding."""

    def add(
        self, expected: Array, found: Array, base: Array, draws: Sequence[Array], allowed: Array
    ) -> None:
        """One run.

        Args:
            expected: what is right.
            found: what is compared with it.
            base: the output to which the noise was added.
            draws: the output with noise, a few times.
            allowed: what a difference may be beside, broadcasting: rounding in floating point.
        """
        if not np.issubdtype(expected.dtype, np.floating):
            self._add_exact(expected, found, base, draws)
            return
        left, right = expected.astype(np.float64), found.astype(np.float64)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        finite = np.isfinite(left) & np.isfinite(right)
        if (~finite & ~same).any():
            self.worst = float("inf")
            return
        off = np.where(finite & ~same, np.maximum(np.abs(left - right) - allowed, 0.0), 0.0)
        with np.errstate(invalid="ignore"):
            moved = [np.nan_to_num(draw.astype(np.float64) - base) ** 2 for draw in draws]
        noise = np.mean(moved, axis=0) if moved else np.zeros(off.shape)
        for factor, axes in _groups(off.shape):
            size = np.sqrt((off**2).mean(axis=axes, keepdims=True))
            usual = np.sqrt(noise.mean(axis=axes, keepdims=True))
            self._note(size, factor * usual)
            if factor == _PART or off.ndim < 2:
                self._note(off, _ONE * np.maximum(np.sqrt(noise), usual))

    def _add_exact(
        self, expected: Array, found: Array, base: Array, draws: Sequence[Array]
    ) -> None:
        """Of numbers that are not floating (indices, choices): how many differ."""
        if expected.shape != found.shape:
            self.worst = float("inf")
            return
        flips = max((float((draw != base).mean()) for draw in draws if draw.shape == base.shape),
                    default=1.0)  # fmt: skip
        self._note(np.asarray((expected != found).mean()), np.asarray(_WHOLE * flips + _FEW))

    def _note(self, size: Array, allowed: Array) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(size > 0, size / allowed, 0.0)
        self.worst = max(self.worst, float(share.max(initial=0.0)))


def _groups(shape: tuple[int, ...]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """The whole, then by channel, and by the last axis where that is a few columns."""
    every = tuple(range(len(shape)))
    yield _WHOLE, every
    if len(shape) > 1 and 1 < shape[1] <= _MOST_PARTS:
        yield _PART, tuple(axis for axis in every if axis != 1)
    if len(shape) > 2 and 1 < shape[-1] <= 64:
        yield _PART, every[:-1]
