"""Limits for a difference from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.rounding.spread import Spread, unit_of

MULTIPLE = 8.0
"""Times the reference's own rounding: other kernels add in another order, and some transform."""
ULPS = 4.0
"""Units in the last place of the largest value, where the reference happens to round to nothing."""
CALIBRATED = Tolerance(0.0, 0.0, False, "calibrated", multiple=MULTIPLE, ulps=ULPS)
FACTOR = 16.0
"""Times the rounding of a value that the perturbed runs show. The worst honest pair was at 14 of
them: see docs/limits.md."""
SENSITIVITY = Tolerance(0.0, 0.0, False, "sensitivity", multiple=FACTOR, ulps=FACTOR / 2)
"""Used in place of `CALIBRATED` if there are perturbed runs of the reference."""
QUANTIZED = Tolerance(0.0, 0.0, False, "quantized")
"""The tolerance of a quantized candidate: the effect of rounding to its own codes, as drawn."""

_FLUSHED = 2.0**-106
"""Some kernels treat numbers below 2^-126 as 0, and later operators may multiply the difference by
thousands: a softmax times the number of its values."""
_RELATIVE = {"float64": (1e-7, 1e-9), "float32": (1e-4, 1e-5), "float16": (1e-2, 4e-3)}


@dataclass
class Extent:
    """The extent of one tensor of the reference, over all runs."""

    scale: float = 0.0
    """Largest absolute finite value."""
    own_error: float | None = None
    """Largest difference of its float32 run from its float64 run; None without the latter."""

    @property
    def is_plausible(self) -> bool:
        """Whether its own error is rounding, and not another function: within the usual default."""
        rtol, atol = _RELATIVE["float32"]
        return self.own_error is None or self.own_error <= (rtol + atol) * self.scale

    def note(self, values: Array, wide: Array | None = None) -> None:
        """Add the values of one run, and of the same run in float64."""
        exact = values if wide is None else wide
        if not np.issubdtype(exact.dtype, np.inexact):
            return
        with np.errstate(over="ignore"):
            finite = np.isfinite(exact) & np.isfinite(values)
            self.scale = max(self.scale, float(np.abs(exact[finite]).max(initial=0.0)))
            if wide is not None:
                error = np.abs(values[finite].astype(np.float64) - wide[finite])
                self.own_error = max(self.own_error or 0.0, float(error.max(initial=0.0)))


@dataclass(frozen=True)
class Limit:
    """|candidate - reference| <= rtol * |reference| + atol."""

    rtol: float
    """Relative to each value."""
    atol: float | Array
    """Absolute; of the tensor's shape where each value has its own limit."""
    spread: Spread | None = None
    """Where each value has: what it was made of."""


def default_tolerance(dtype: np.dtype[Any]) -> Tolerance:
    """The effect of rounding on outputs of this type after a few dozen layers.

    Integers and booleans have to be equal.
    """
    rtol, atol = _RELATIVE.get(dtype.name, (0.0, 0.0))
    return Tolerance(rtol, atol, scaled=True, origin=f"default for {dtype.name}")


def limit_of(
    tolerance: Tolerance,
    extent: Extent,
    dtype: np.dtype[Any],
    spread: Spread | None = None,
    values: Array | None = None,
) -> Limit:
    """The limit for a tensor of the candidate.

    Args:
        tolerance: a calibrated one falls back to the default of the type where the reference's own
            rounding is not known.
        extent: of the reference's tensor.
        dtype: the type of the candidate's: a narrower one than float32 rounds more, in proportion.
        spread: the spread of each of its values in the perturbed runs; None if there are none.
        values: the reference's values, of the same shape.
    """
    if tolerance.multiple is not None and spread is not None and values is not None:
        return _limit_of_each(spread, values, dtype, extent.scale)
    if not np.issubdtype(dtype, np.inexact):
        return Limit(0.0, 0.0)
    multiple, ulps, own_error = tolerance.multiple, tolerance.ulps, extent.own_error
    if multiple is not None and ulps is not None and own_error is not None:
        epsilon, single = resolution(dtype), resolution(np.dtype(np.float32))
        rounding = own_error * max(1.0, epsilon / single)
        return Limit(0.0, multiple * rounding + ulps * max(epsilon, single) * extent.scale)
    if multiple is not None:
        tolerance = default_tolerance(dtype)
    return Limit(tolerance.rtol, tolerance.atol * (extent.scale if tolerance.scaled else 1.0))


def _limit_of_each(spread: Spread, values: Array, dtype: np.dtype[Any], largest: float) -> Limit:
    """Each value has its own; a narrower type of the candidate's output rounds once more."""
    if not np.issubdtype(values.dtype, np.floating) or not np.issubdtype(dtype, np.inexact):
        return Limit(0.0, 0.0, spread)
    atol = FACTOR * (spread.scale + unit_of(values, np.dtype(np.float32)) / 2)
    atol += _FLUSHED
    if resolution(dtype) > resolution(np.dtype(np.float32)):
        atol += unit_of(values, dtype) / 2
    if dtype == np.float16:  # slopes and weights below its normal numbers lose more than a unit
        atol += float(np.finfo(dtype).smallest_subnormal) * (1.0 + largest)
    return Limit(0.0, atol, spread)


def resolution_of(name: str) -> float:
    """The same by the name of the type, which numpy need not know."""
    return 2.0**-7 if name == "bfloat16" else resolution(np.dtype(name))


def resolution(dtype: np.dtype[Any]) -> float:
    """The distance from 1 to the next number of a floating type."""
    return 2.0**-7 if dtype.name == "bfloat16" else float(np.finfo(dtype).eps)
