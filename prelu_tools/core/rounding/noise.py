"""How far rounding may move the result of an operator: the noise of the perturbed runs.

A perturbed run computes a model while the result of every operator that rounds is changed at
random, as another kernel might round it (Monte Carlo arithmetic: Parker 1997; Verrou, CADNA). The
spread of an output over a few such runs is what rounding may do to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array

SINGLE = 2.0**-23
"""The unit of float32: the distance from 1 to the next number."""
REACH = 8.0
"""Half units by which the perturbed runs move a result that one rounding moves by one at most.

More than one, so that the noise is not lost in the type's own grid, and so that what another kernel
rounds across a border (of a `floor`, of a nearest neighbour) crosses it in the perturbed runs too.
"""
MANY = 2048
"""Terms of a sum above which it is measured how they round; of fewer the most is expected."""
ALIKE = 2 * REACH
"""Times what `one_by_one` measures, by which the perturbed runs move a sum at most, and half of
that at
least: a kernel that adds in yet another order was off by twice as much."""
SCALES = 4
"""How often it is measured, each time with the terms scaled otherwise, from 1 to 2."""
TINY = 1e-30
"""The divisor in place of a sum that is 0."""
HUGE = 1e30
"""Errors of at least this multiple of a sum are ignored, as are infinity and NaN."""


@dataclass(frozen=True)
class Noise:
    """How to perturb a run."""

    seed: int
    """The seed of the random numbers."""
    unit: float = SINGLE
    """The coarsest unit that each result is rounded to: float16's for a model that computes in
    float16."""

    def amount(self, unit: float, once: float, growth: float = 0.0) -> float:
        """The largest relative change of a value.

        Args:
            unit: of the type that the operator computes in.
            once: roundings of the result itself, each to `self.unit` where that is coarser.
            growth: roundings inside the operator, which accumulates in its own type.
        """
        return REACH / 2 * (max(self.unit, unit) * once + unit * growth)


def sum_growth(terms: float) -> float:
    """Error of a sum of terms of one sign, relative to the sum: partial sums grow with it.

    Adding n equal terms one by one rounds n partial sums, each off by up to half a unit, at random:
    sqrt(n / 3) / sqrt(3) half units. The same for the result of a convolution or product.
    """
    return math.sqrt(max(terms, 1.0)) / 3


def plain_sum_growth(terms: float) -> float:
    """Error of an unweighted sum: its terms may all be equal, and round the same way each time.

    A kernel that adds n of them in 8 lanes is off by up to n / 16 half units; pairwise it is not.
    Terms beyond `MANY` do not count: the error that `one_by_one` measures is added.
    """
    return max(2 * sum_growth(terms), min(terms, MANY) / 16)


@np.errstate(all="ignore")
def one_by_one(values: Array, scales: Sequence[float], running: bool = False) -> Array:
    """The relative error of a sum whose terms are added one by one.

    What a flat map, silence or a short period adds up to rounds the same way thousands of times,
    and by far less in any other input: so it is measured, and not expected of every sum. No kernel
    is off by much more; graphs compute the same by a running sum.

    Args:
        values: of float32; the terms lie along the last axis.
        scales: from 1 to 2. By each the terms round otherwise, so that sums which happen to be
            nearly exact do not seem to be so for any kernel: the mean counts.
        running: whether every partial sum is needed.

    Returns:
        The errors, without that axis except for a running sum.
    """
    found = np.zeros(values.shape if running else values.shape[:-1])
    for scale in scales:
        scaled = values * np.float32(scale)
        added = np.cumsum(scaled, axis=-1)
        if running:
            total = np.cumsum(scaled, axis=-1, dtype=np.float64)
        else:
            added, total = added[..., -1], scaled.sum(-1, dtype=np.float64)
        off = np.abs(added - total) / np.maximum(np.abs(total), TINY)
        found += np.where(off < HUGE, off, 0.0) / len(scales)
    return found.astype(np.float32)


def term_growth(terms: float) -> float:
    """Error of a sum of terms of any sign: partial sums wander as far as sqrt(n) terms.

    Rounding n partial sums of the size of sqrt(k) terms is off by about n / sqrt(6) half units of
    a term; moving each of n terms by g half units moves the sum by g * sqrt(n / 3).
    """
    return 0.7 * math.sqrt(max(terms, 1.0))
