"""Are two tensors the same, over several runs? NaN never passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.verification.parity import Deviation, Verdict
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import Limit

_ORDER: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
_SHARE = 0.999
_RARE = 10_000  # values, of which the rounding error of one may be underestimated by chance


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict over several: any failure fails; nothing at all is inconclusive, not a pass."""
    return next((verdict for verdict in _ORDER if verdict in verdicts), "inconclusive")


class Border:
    """Values on a border that rounding crosses: of a comparison, a floor, an index, a neighbour.

    Two honest kernels may settle them otherwise, and the perturbed runs show which they are. Those
    of them that differ may be at most as many as moved in the runs: these move by more than another
    kernel does. None may be off by more than the runs jump in its row (see `Spread.reach`). A value
    that happened to cross in no perturbed run (one of two sides each time: 1 in 64 of six runs)
    differs too now and then, by no more than any jumped.
    """

    def __init__(self) -> None:
        """None is known yet."""
        self.n_wrong = 0
        """Values on a border that differ."""
        self.n_beside = 0
        """Values that differ as if they were on one too."""
        self.rows: dict[tuple[int, int], None] = {}
        """Where they are: the run, and the row of it."""
        self._n_flips = 0
        self._run = 0

    def note(self, spread: Spread, wrong: Array, unlike: Array, difference: Array) -> Array:
        """One run.

        Args:
            spread: the spread in its perturbed runs.
            wrong: the values that are beyond their limit.
            unlike: those that are finite on one side only.
            difference: of the others.

        Returns:
            Which of them a crossed border explains, known or not: all the others fail.
        """
        self._n_flips += spread.n_flips
        explained = np.zeros(wrong.shape, bool)
        if spread.border is not None and spread.reach is not None:
            explained = wrong & (difference <= spread.reach.max(initial=0.0))
            crossed = wrong & (difference <= spread.reach) & spread.border
            if spread.lost is not None:
                explained |= unlike & spread.lost
                crossed |= unlike & spread.lost
            self.n_wrong += int(crossed.sum())
            self.n_beside += int((explained & ~crossed).sum())
            if crossed.ndim:
                rows = crossed.reshape(len(crossed), -1).any(1)
                self.rows |= dict.fromkeys((self._run, int(row)) for row in np.flatnonzero(rows))
        self._run += 1
        return explained

    @property
    def n_explained(self) -> int:
        """Values that differ because rounding crosses a border; 0 where they are too many."""
        return 0 if self.n_excess else self.n_wrong + self.n_beside

    @property
    def n_excess(self) -> int:
        """Values that differ, where more do than moved; besides the known borders a few may."""
        beside = 0 if self.n_beside <= self._n_flips // 16 else self.n_beside
        return self.n_wrong + self.n_beside if self.n_wrong > self._n_flips else beside

    @property
    def where(self) -> str:
        """The rows, in words."""
        named = [f"row {row} of run {run}" for run, row in self.rows]
        return ", ".join(named[:4]) + (f" and {len(named) - 4:,} more rows" if named[4:] else "")


class Chance:
    """Values whose own rounding error is underestimated by chance.

    The values of a row share the noise of the few perturbed runs: a mean or a norm before them adds
    the same error to all, each in its own proportion. So of very many values, some hardly move in
    any run, although other rounding moves them as it does the rest. They may be off by the typical
    rounding error of their row, if they are at most one in `_RARE` of all values.
    """

    def __init__(self) -> None:
        """None is known yet."""
        self.n_wrong = 0
        """Values that are off by more than their own limit, but not by more than is typical."""

    def note(self, scale: Array, wrong: Array, difference: Array) -> Array:
        """One run.

        Args:
            scale: the rounding error of each value.
            wrong: the values that are beyond their limit.
            difference: how far each is off.

        Returns:
            Which of them their row explains.
        """
        if not wrong.any():
            return wrong
        explained: Array = wrong & (difference <= _typical(scale))
        self.n_wrong += int(explained.sum())
        return explained

    def n_excess(self, n_values: int) -> int:
        """All of them, where they are too many of these values for chance."""
        return self.n_wrong if self.n_wrong > n_values // _RARE else 0


@np.errstate(divide="ignore")
def _typical(scale: Array) -> Array:
    """The geometric mean of what is not 0 in each row; of the whole, if there are no rows."""
    inner = tuple(range(1, scale.ndim)) or None
    count = (scale > 0).sum(inner, keepdims=True)
    logarithms = np.where(scale > 0, np.log(scale), 0.0).sum(inner, keepdims=True)
    return np.where(count, np.exp(logarithms / np.maximum(count, 1)), 0.0)


class Comparison:
    """Compares a tensor of the candidate with the reference's, run by run."""

    def __init__(self, limit: Limit) -> None:
        """Nothing has been compared yet."""
        self.limit = limit
        self.at_worst = limit.atol if isinstance(limit.atol, float) else 0.0
        """The limit of the worst value, if each value has its own limit."""
        self.worst: float | None = None
        """How far that one is off, as a share of its limit."""
        self.border = Border()
        self.chance = Chance()
        self._n_mismatched = 0
        self._n_nonfinite = 0
        self._n_both_nan = 0
        self.n_values = 0
        """Values that were compared."""
        self.n_rough = 0
        """Compared values that are nothing but rounding error: nothing can be proven for them."""
        self._n_finite = 0
        self._max_abs = self._max_rel = self._sum_abs = self._p999 = 0.0
        self._max_ulp = 0
        self._dots = np.zeros(3)
        self._squares = 0.0

    def add(self, reference: Array, candidate: Array, limit: Limit | None = None) -> None:
        """Compare one run: arrays of one shape, in one axis order; with its own limit."""
        limit = limit or self.limit
        self.n_values += reference.size
        is_inexact = np.issubdtype(reference.dtype, np.inexact)
        spacing_type = candidate.dtype if np.issubdtype(candidate.dtype, np.floating) else None
        left, right = reference.astype(np.float64), candidate.astype(np.float64)
        finite = np.isfinite(left) & np.isfinite(right)
        both_nan = np.isnan(left) & np.isnan(right)
        unlike = ~finite & ~both_nan & (left != right)
        self._n_both_nan += int(both_nan.sum())
        with np.errstate(all="ignore"):
            difference, allowed = np.abs(left - right), limit.rtol * np.abs(left) + limit.atol
        wrong = finite & (difference > allowed)
        if not is_inexact:
            wrong = np.asarray(reference != candidate)  # float64 has 53 bits only
        if limit.spread is not None:
            explained = self.border.note(limit.spread, wrong, unlike, difference)
            if is_inexact:
                explained |= self.chance.note(limit.spread.scale, wrong & ~explained, difference)
            wrong, unlike = wrong & ~explained, unlike & ~explained
            if is_inexact:
                self._note_worst(difference, allowed, finite & ~explained)
            if limit.spread.rough is not None:
                self.n_rough += int(limit.spread.rough.sum())
        self._n_mismatched += int(wrong.sum())
        self._n_nonfinite += int(unlike.sum())
        left, right = left[finite], right[finite]
        if left.size:
            with np.errstate(over="ignore"):  # of the largest numbers the figures are infinite
                self._add_finite(left, right, spacing_type)

    def _note_worst(self, difference: Array, allowed: Array, where: Array) -> None:
        with np.errstate(all="ignore"):
            share = np.where(where & (difference > 0), difference / allowed, 0.0)
        if share.size:
            place = int(share.argmax())
            largest = float(share.reshape(-1)[place])
            if self.worst is None or largest > self.worst:
                self.worst, self.at_worst = largest, float(allowed.reshape(-1)[place])

    @property
    def n_mismatched(self) -> int:
        """Values beyond the limit, with what a border or chance explains where it is too much."""
        excess = self.border.n_excess + self.chance.n_excess(self.n_values)
        return self._n_mismatched + excess

    @property
    def n_nonfinite_mismatch(self) -> int:
        """Values that are not finite on one side and not the same on the other."""
        return self._n_nonfinite

    @property
    def n_border(self) -> int:
        """Values on a border that differ, and are allowed to."""
        return self.border.n_explained

    @property
    def n_by_chance(self) -> int:
        """Values whose own rounding error is underestimated, and that are allowed to differ."""
        return 0 if self.chance.n_excess(self.n_values) else self.chance.n_wrong

    def _add_finite(self, left: Array, right: Array, spacing_type: np.dtype[Any] | None) -> None:
        difference, size = np.abs(left - right), np.abs(left)
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
        """Largest absolute difference; NaN if nothing finite was compared."""
        return self._max_abs if self._n_finite else float("nan")

    @property
    def doubt(self) -> str | None:
        """Why `inconclusive`, as the end of a sentence; None if it is not."""
        if self.verdict != "inconclusive":
            return None
        if self._is_all_rough:
            return (
                f"consists of rounding at {self.n_rough:,} of {self.n_values:,} values: the "
                "model's own rounding error is about as large as the values"
            )
        if self._is_all_border:
            return (
                "differs in more than half of its values, all on a border that rounding "
                "error crosses"
            )
        return "is NaN on both sides" if self._n_both_nan else "holds no values"

    @property
    def verdict(self) -> Verdict:
        """`inconclusive` where nothing was compared, or both sides are NaN at the same places."""
        if self.n_mismatched or self.n_nonfinite_mismatch:
            return "fail"
        unproven = self._n_both_nan or not self.n_values or self._is_all_border
        unproven = unproven or self._is_all_rough
        return "inconclusive" if unproven else "pass"

    @property
    def _is_all_rough(self) -> bool:
        return self.n_rough * 2 > self.n_values

    @property
    def _is_all_border(self) -> bool:
        return self.n_border * 2 > self.n_values

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
        """The share of rows; None if the rows are no probabilities."""
        return self._same / self._rows if self._fits and self._rows else None
