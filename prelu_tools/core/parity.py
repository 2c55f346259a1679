"""Are two tensors the same, over several runs? NaN never passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.tolerance import Limit
from prelu_tools.core.verification import Deviation, Verdict

_ORDER: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
_SHARE = 0.999


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict over several: any failure fails; nothing at all is inconclusive, not a pass."""
    return next((verdict for verdict in _ORDER if verdict in verdicts), "inconclusive")


class Comparison:
    """Holds a tensor of the candidate against the reference's, run by run."""

    def __init__(self, limit: Limit) -> None:
        """Nothing has been compared yet."""
        self.limit = limit
        self.n_mismatched = 0
        self.n_nonfinite_mismatch = 0
        self._n_both_nan = 0
        self._n_values = 0
        self._n_finite = 0
        self._max_abs = self._max_rel = self._sum_abs = self._p999 = 0.0
        self._max_ulp = 0
        self._dots = np.zeros(3)
        self._squares = 0.0

    def add(self, reference: Array, candidate: Array) -> None:
        """Compare one run: arrays of one shape, in one axis order."""
        self._n_values += reference.size
        if not np.issubdtype(reference.dtype, np.inexact):
            self.n_mismatched += int((reference != candidate).sum())  # float64 has 53 bits only
        spacing_type = candidate.dtype if np.issubdtype(candidate.dtype, np.floating) else None
        left, right = reference.astype(np.float64), candidate.astype(np.float64)
        finite = np.isfinite(left) & np.isfinite(right)
        both_nan = np.isnan(left) & np.isnan(right)
        same = ~finite & ~both_nan & (left == right)
        self._n_both_nan += int(both_nan.sum())
        self.n_nonfinite_mismatch += int((~finite & ~both_nan & ~same).sum())
        left, right = left[finite], right[finite]
        if left.size:
            with np.errstate(over="ignore"):  # of the largest numbers the figures are infinite
                self._add_finite(left, right, reference.dtype, spacing_type)

    def _add_finite(
        self,
        left: Array,
        right: Array,
        reference_type: np.dtype[Any],
        spacing_type: np.dtype[Any] | None,
    ) -> None:
        difference, size = np.abs(left - right), np.abs(left)
        if np.issubdtype(reference_type, np.inexact):
            allowed = self.limit.rtol * size + self.limit.atol
            self.n_mismatched += int((difference > allowed).sum())
        largest = np.maximum(size, np.abs(right))
        relative = difference / np.maximum(size, np.finfo(np.float32).tiny)
        self._n_finite += left.size
        self._max_abs = max(self._max_abs, float(difference.max()))
        self._max_rel = max(self._max_rel, float(relative.max()))
        self._sum_abs += float(difference.sum())
        place = min(int(np.ceil(_SHARE * left.size)), left.size) - 1
        self._p999 = max(self._p999, float(np.partition(difference, place)[place]))
        if spacing_type is not None:
            self._max_ulp = max(self._max_ulp, ulps(difference, largest, spacing_type))
        self._dots += (float(left @ left), float(right @ right), float(left @ right))
        self._squares += float(difference @ difference)

    @property
    def max_abs(self) -> float:
        """Largest absolute difference; NaN where nothing finite was compared."""
        return self._max_abs if self._n_finite else float("nan")

    @property
    def max_ulp(self) -> int:
        """See `Deviation.max_ulp`."""
        return self._max_ulp

    @property
    def doubt(self) -> str | None:
        """Why `inconclusive`, as the end of a sentence; None where it is not."""
        if self.verdict != "inconclusive":
            return None
        return "is NaN on both sides" if self._n_both_nan else "holds no values"

    @property
    def verdict(self) -> Verdict:
        """`inconclusive` where nothing was compared, or both sides are NaN at the same places."""
        if self.n_mismatched or self.n_nonfinite_mismatch:
            return "fail"
        return "inconclusive" if self._n_both_nan or not self._n_values else "pass"

    @property
    def deviation(self) -> Deviation:
        """All the figures."""
        left, right, dot = (float(value) for value in self._dots)
        norm = float(np.sqrt(left) * np.sqrt(right))
        snr = 10 * float(np.log10(left / self._squares)) if left and self._squares else None
        return Deviation(
            max_abs=self.max_abs,
            max_rel=self._max_rel if self._n_finite else float("nan"),
            max_ulp=self._max_ulp,
            mean_abs=self._sum_abs / self._n_finite if self._n_finite else float("nan"),
            p999_abs=self._p999 if self._n_finite else float("nan"),
            cosine=min(1.0, dot / norm) if norm else None,
            snr_db=snr,
        )


def ulps(difference: Array, size: Array, dtype: np.dtype[Any]) -> int:
    """The largest of these differences in units in the last place of values of this size."""
    information = np.finfo(dtype)
    exponent = np.floor(np.log2(np.maximum(size, float(information.tiny))))
    exponent = np.clip(exponent, information.minexp, information.maxexp - 1)  # log2 rounds up
    unit = np.exp2(exponent) * float(information.eps)
    return int(np.minimum(np.round(difference / unit).max(initial=0.0), 2.0**62))


class Top1:
    """How often the largest class is the same, where an output holds probabilities."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._rows = self._same = 0
        self._fits = True

    def add(self, reference: Array, candidate: Array) -> None:
        """Compare one run."""
        if reference.ndim != 2 or reference.shape[1] < 2 or not np.issubdtype(
            reference.dtype, np.inexact
        ):  # fmt: skip
            self._fits = False
            return
        sums = reference.sum(axis=1, dtype=np.float64)
        self._fits &= bool((reference >= 0).all()) and bool((np.abs(sums - 1) < 1e-3).all())
        if self._fits:
            self._rows += len(reference)
            same = reference.argmax(axis=1) == candidate.argmax(axis=1)
            self._same += int(same.sum())

    @property
    def agreement(self) -> float | None:
        """The share of rows; None where the rows are no probabilities."""
        return self._same / self._rows if self._fits and self._rows else None
