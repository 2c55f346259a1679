"""Is a difference as large as rounding to codes makes it? Compare it with simulated rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.core.arrays import Array

_LEAST = 3.0
"""How many times the drawn noise a whole tensor may be off in any case."""
_SINGLE = 3.0
"""How many times a channel's error a single value may have."""
_MOST_PARTS = 4096
_FEW = 0.02
_ROUNDING = 1e-5  # of an output's size: rows of a softmax have the same sum, up to rounding
_FEW_PARTS = 64  # channels; with more, one of them is this far off by chance
# Student's t by degrees of freedom, 1 - 1e-6: how far a normal number may be from 0, in units of a
# deviation that as many other draws show.
_STUDENT = {1: 3.2e5, 2: 707.0, 3: 103.0, 4: 41.6, 6: 17.8, 8: 12.1, 12: 8.5, 16: 7.2, 24: 6.2,
            32: 5.8, 64: 5.2}  # fmt: skip


def allowed_times(draws: int) -> float:
    """The largest plausible ratio of one more draw to the noise of a number of draws."""
    return next((_STUDENT[known] for known in sorted(_STUDENT, reverse=True) if known <= draws),
                float("inf"))  # fmt: skip


@dataclass
class _Sums:
    """Squares of one grouping, over all runs."""

    off: Array
    noise: Array


@dataclass
class Closeness:
    """Differences of one output over all runs, compared with drawn rounding of known steps.

    Rounding to codes is noise whose size is known: half a step either way. What it does to an
    output is drawn a few times; the real rounding has the same size, by root mean square over
    all values, and over each channel, so that a fault in one channel does not hide.
    """

    n_draws: int
    """How many draws of the noise there are."""
    directed: bool = False
    """Whether differences that are all alike, a factor or a shift, are looked for too."""
    broken: bool = False
    """Whether shapes differ, or values are finite on one side only."""
    _along: dict[tuple[str, tuple[int, ...]], Array] = field(default_factory=dict)
    _sums: dict[tuple[int, ...], _Sums] = field(default_factory=dict)
    _share: float = 0.0
    _signal: float = 0.0
    _noise: float = 0.0
    _whole: tuple[int, ...] = ()

    def add(
        self, expected: Array, found: Array, base: Array, draws: Sequence[Array], allowed: Array
    ) -> None:
        """One run.

        Args:
            expected: the right values.
            found: the values to compare.
            base: the output to which the noise was added.
            draws: the output with noise, a few times.
            allowed: the additional difference allowed for rounding in floating point; broadcasts.
        """
        if expected.shape != found.shape:
            self.broken = True
        elif not np.issubdtype(expected.dtype, np.floating):
            self._add_exact(expected, found, base, draws)
        else:
            self._add_floats(expected, found, base, draws, allowed)

    @property
    def worst(self) -> float:
        """The largest share of what is allowed; above 1, the difference is not rounding."""
        if self.broken:
            return float("inf")
        return max([self._share, *map(self._worst_of, self._sums.values())])

    @property
    @np.errstate(all="ignore")
    def alike(self) -> float:
        """The same for differences that are all alike: the whole scaled or shifted, or a channel.

        Rounding is noise: hardly any of it is proportional to the output itself, or constant. So a
        factor that is too small for `worst` is found here.
        """
        shares = [0.0]
        for sums in self._along.values():
            share = np.abs(sums[0]) / self._allowed_along(sums)  # 0 / 0 is nothing
            shares.append(float(np.nan_to_num(share, posinf=np.inf).max()))
        return max(shares)

    @property
    def least_factor(self) -> float | None:
        """By how much an output has to be scaled for `alike` to see it; None if not known."""
        sums = self._along.get(("factor", self._whole))
        if sums is None or not self._signal > 0:
            return None
        return float(self._allowed_along(sums)) / self._signal

    def _allowed_along(self, sums: Array) -> Array:
        most = allowed_times(self.n_draws) * np.sqrt(np.square(sums[1:-1]).mean(axis=0))
        return np.asarray(most + _ROUNDING * sums[-1])

    @property
    def decibels(self) -> float | None:
        """The signal-to-noise ratio that the drawn noise leaves; None if there is none."""
        if not (self._noise > 0 and self._signal > 0):
            return None
        return float(10 * np.log10(self._signal / self._noise))

    @np.errstate(all="ignore")
    def _worst_of(self, sums: _Sums) -> float:
        parts = sums.off.size
        factor = max(_LEAST, allowed_times(self.n_draws * (1 if parts > 1 else 2)))
        share = np.where(sums.off > 0, np.sqrt(sums.off / sums.noise) / factor, 0.0)
        share = np.where(np.isfinite(sums.noise) | (sums.off == 0), share, np.inf)
        return float(np.nan_to_num(share, nan=np.inf).max())

    @np.errstate(all="ignore")
    def _add_floats(
        self, expected: Array, found: Array, base: Array, draws: Sequence[Array], allowed: Array
    ) -> None:
        if not expected.size:
            return
        left, right = expected.astype(np.float64), found.astype(np.float64)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        finite = np.isfinite(left) & np.isfinite(right)
        if (~finite & ~same).any():
            self.broken = True
            return
        off = np.where(finite, np.maximum(np.abs(left - right) - allowed, 0.0), 0.0) ** 2
        added = [np.nan_to_num(draw.astype(np.float64) - base) for draw in draws]
        noise = np.mean(np.square(added), axis=0) if added else np.zeros(off.shape)
        if self.directed:
            signed = np.copysign(np.sqrt(off), np.nan_to_num(right - left))
            self._add_along(base.astype(np.float64), [signed, *added])
        self._signal += float(np.square(np.nan_to_num(base.astype(np.float64))).sum())
        self._noise += float(noise.sum())
        for axes in _groupings(off.shape):
            new = _Sums(off.sum(axis=axes), noise.sum(axis=axes))
            old = self._sums.setdefault(axes, _Sums(np.zeros(()), np.zeros(())))
            if old.off.shape not in ((), new.off.shape):
                continue  # other sizes in this run
            self._sums[axes] = _Sums(old.off + new.off, old.noise + new.noise)
            usual = np.sqrt(noise.mean(axis=axes, keepdims=True))
            limit = _SINGLE * allowed_times(self.n_draws) * np.maximum(np.sqrt(noise), usual)
            if off.ndim < 2 or len(axes) < off.ndim:
                self._note(np.sqrt(off), limit)

    def _add_along(self, base: Array, differences: Sequence[Array]) -> None:
        """How much of each difference, that of the candidate first, lies along a direction."""
        self._whole = tuple(range(base.ndim))
        for axes in _groupings(base.shape):
            if (
                len(axes) < base.ndim
                and max(base.shape[a] for a in self._whole if a not in axes) > _FEW_PARTS
            ):
                continue
            for name, direction in (("factor", np.nan_to_num(base)), ("shift", np.ones(()))):
                size = np.abs(np.nan_to_num(base) * direction).sum(axis=axes)
                new = np.stack([*((each * direction).sum(axis=axes) for each in differences), size])
                old = self._along.get((name, axes))
                if old is None or old.shape == new.shape:
                    self._along[name, axes] = new if old is None else old + new

    def _add_exact(
        self, expected: Array, found: Array, base: Array, draws: Sequence[Array]
    ) -> None:
        """Count the differences of integers and booleans (indices, choices)."""
        flips = [float((draw != base).mean()) for draw in draws if draw.shape == base.shape]
        most = np.asarray(_LEAST * max(flips, default=1.0) + _FEW)
        self._note(np.asarray((expected != found).mean()), most)

    @np.errstate(all="ignore")
    def _note(self, size: Array, allowed: Array) -> None:
        share = np.where(size > 0, size / allowed, 0.0)
        self._share = max(self._share, float(np.nan_to_num(share, nan=np.inf).max()))


def _groupings(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The whole, then by channel, and by the last axis where that is a few columns."""
    every = tuple(range(len(shape)))
    yield every
    if len(shape) > 1 and 1 < shape[1] <= _MOST_PARTS:
        yield tuple(axis for axis in every if axis != 1)
    if len(shape) > 2 and 1 < shape[-1] <= 64:
        yield every[:-1]
