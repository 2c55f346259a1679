"""Whether channels with inverted slopes are negated: only then are those slopes right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import align
from prelu_tools.core.results.reasons import Reason, are, counted

_NOISE = 0.2
"""The share of |a| * |b| below which a sum of products says nothing of a sign.

Rounding to codes gives such sums; so does a channel that is not negated, if its slope is steep: as
little as 2a/(1 + a^2) of |P_a(x)| * |P_1/a(x)|.
"""


@dataclass
class ChannelSigns:
    """The sign of a layer's output relative to the reference's, channel by channel.

    With P_a(x) = max(x, 0) + a * min(x, 0): P_a(x) = -a * P_1/a(-x). A layer with 1/a in place of a
    is right if its input is -x: then its output has the other sign too.
    """

    inverted: Array
    """Which slopes are inverted, laid as the reference's slopes."""
    _sums: Array | None = None

    def restored(self, expected: Array, found: Array) -> Array:
        """Record the output of one call; returns it with the reference's sign and scale.

        Args:
            expected: the output of the reference's layer.
            found: the candidate's, in the same layout.
        """
        which = align(self.inverted, expected.ndim)
        if expected.shape != found.shape or which.ndim != expected.ndim:
            return found
        left, right = (np.nan_to_num(a.astype(np.float64)) for a in (expected, found))
        axes = tuple(axis for axis, size in enumerate(which.shape) if size == 1)
        sums = np.stack(
            [part.sum(axis=axes, keepdims=True) for part in (left * right, left**2, right**2)]
        )
        self._sums = sums if self._sums is None else self._sums + sums
        with np.errstate(invalid="ignore"):
            factor = np.where(which & (sums[2] > 0), sums[0] / sums[2], 1.0)
        return np.asarray(found * factor, found.dtype)

    @property
    def n_kept(self) -> int:
        """How many of these channels have the reference's sign."""
        return self._count(1)

    @property
    def n_negated(self) -> int:
        """How many of them have the other sign."""
        return self._count(-1)

    def _count(self, sign: int) -> int:
        """How many of them have this sign relative to the reference's.

        0 counts those in which it was not seen; one that is 0 everywhere on a side has none.
        """
        if self._sums is None:
            return int(self.inverted.sum()) if sign == 0 else 0
        dot, *squares = self._sums
        size = np.sqrt(squares[0] * squares[1])
        signs = np.where(np.abs(dot) > _NOISE * size, np.sign(dot), 0)
        return int(((signs == sign) & (size > 0) & self.inverted).sum())

    @property
    def doubt(self) -> Reason | None:
        """Why the inverted slopes are not right, or not known to be; None if they are."""
        kept, unseen = self.n_kept, self._count(0)
        if not kept and not unseen:
            return None
        n, why = kept or unseen, ", but the channels are not negated"
        if not kept:
            why = "; that is right if the channels are negated, but this was not seen"
        return Reason(
            f"{counted(n, 'slope')} {are(n)} 1/a where the reference has a{why}", "slopes_inverted"
        )
