"""How the slopes of a layer move over a training or over checkpoints."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array

LOWEST, HIGHEST = -1.0, 2.0
"""Slopes of trained networks are within these limits; one that leaves them usually diverges."""
SHRUNK = 0.8
"""Below this share of their first size, slopes that fall all the time are being pulled to 0."""
_LOOKS = 3  # a decrease over fewer records says nothing


@dataclass(frozen=True)
class Movement:
    """How the slopes of a layer have moved at one point; over finite slopes."""

    max_change: float | None
    """Largest absolute change of a slope since the previous point; None at the first."""
    from_start: float
    """Largest absolute distance of a slope from its first value."""
    n_sign_changes: int
    """Slopes that are above 0 and were below it, or the reverse, when they last were not 0."""
    n_unmoved: int
    """Slopes that had their first value, bit for bit, at every point."""
    n_outside: int
    """Slopes that are below `LOWEST` or above `HIGHEST`."""
    mean_size: float
    """Mean absolute value."""


class SlopeTrack:
    """Follows the slopes of one layer; each look is given once, in order."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self._begin(np.zeros(0))

    def _begin(self, start: Array) -> None:
        self.movements: list[Movement] = []
        self.unmoved = np.ones(start.size, np.bool_)
        """For each slope, flat, whether it had its first value at every look."""
        self._start = start
        self._last: Array | None = None
        self._signs = np.zeros(start.size)  # of each slope, when it last had one
        self._excess: deque[float] = deque(maxlen=2)
        self._is_finite = True

    def add(self, slopes: Array) -> Movement:
        """Take the next look.

        Args:
            slopes: all slopes of the layer, of any shape; of another number than before they are
                another layer's, and the track starts again.
        """
        values = np.asarray(slopes, np.float64).reshape(-1)
        if not self.movements or values.size != self._start.size:
            self._begin(values)
        start, last = self._start, self._last
        signs = np.sign(values)  # their product does not underflow
        with np.errstate(invalid="ignore", over="ignore"):
            self.unmoved = self.unmoved & (values == start)
            found = Movement(
                max_change=None if last is None else _largest(values - last),
                from_start=_largest(values - start),
                n_sign_changes=int((signs * self._signs < 0).sum()),
                n_unmoved=int(self.unmoved.sum()),
                n_outside=int(((values < LOWEST) | (values > HIGHEST)).sum()),
                mean_size=_mean_size(values),
            )
            self._excess.append(max(0.0, _largest(values - values.clip(LOWEST, HIGHEST))))
        self._is_finite = bool(np.isfinite(values).all())
        self._last = values
        self._signs = np.where(np.abs(signs) == 1, signs, self._signs)
        self.movements.append(found)
        return found

    def trends(self) -> tuple[str, ...]:
        """The findings over all records, as words of the JSON contract, in a fixed order.

        `not_moving`: every slope had its first value at each of several looks. `pulled_to_zero`:
        the mean size fell at each of the last looks, to less than `SHRUNK` of the first.
        `outside_range`: some slopes are below `LOWEST` or above `HIGHEST`. `diverging`: some are
        NaN or infinite, or farther outside than at the look before.
        """
        if not self.movements:
            return ()
        now = self.movements[-1]
        known = {
            "not_moving": len(self.movements) > 1 and now.n_unmoved == self.unmoved.size > 0,
            "pulled_to_zero": self._is_pulled(),
            "outside_range": now.n_outside > 0,
            "diverging": not self._is_finite
            or (len(self._excess) == 2 and self._excess[1] > self._excess[0]),
        }
        return tuple(word for word, holds in known.items() if holds)

    def _is_pulled(self) -> bool:
        sizes = [movement.mean_size for movement in self.movements]
        latest = sizes[-_LOOKS - 1 :]
        falls = all(after < before for before, after in itertools.pairwise(latest))
        return len(latest) > _LOOKS and falls and sizes[-1] < SHRUNK * sizes[0]


def _largest(changes: Array) -> float:
    finite = np.abs(changes[np.isfinite(changes)])
    return float(finite.max()) if finite.size else 0.0


def _mean_size(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.mean()) if finite.size else float("nan")
