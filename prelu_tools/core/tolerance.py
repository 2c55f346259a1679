"""What a difference from the reference may be, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.verification import Tolerance

MULTIPLE = 8.0
"""Times the reference's own rounding: other kernels add in another order, and some transform."""
ULPS = 4.0
"""Units in the last place of the largest value, where the reference happens to round to nothing."""
CALIBRATED = Tolerance(0.0, 0.0, False, "calibrated", multiple=MULTIPLE, ulps=ULPS)

_RELATIVE = {"float64": (1e-7, 1e-9), "float32": (1e-4, 1e-5), "float16": (1e-2, 4e-3)}


@dataclass
class Extent:
    """What is known of one tensor of the reference, over all runs."""

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
        """Add what one run gave, and what the same run in float64 gave."""
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
    atol: float
    """Absolute."""


def default_tolerance(dtype: np.dtype[Any]) -> Tolerance:
    """What rounding alone may do to outputs of this type, after a few dozen layers.

    Integers and booleans have to be equal.
    """
    rtol, atol = _RELATIVE.get(dtype.name, (0.0, 0.0))
    return Tolerance(rtol, atol, scaled=True, origin=f"default for {dtype.name}")


def limit_of(tolerance: Tolerance, extent: Extent, dtype: np.dtype[Any]) -> Limit:
    """The limit for a tensor of the candidate.

    Args:
        tolerance: a calibrated one falls back to the default of the type where the reference's own
            rounding is not known.
        extent: of the reference's tensor.
        dtype: the type of the candidate's: a narrower one than float32 rounds more, in proportion.
    """
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


def resolution(dtype: np.dtype[Any]) -> float:
    """The distance from 1 to the next number of a floating type."""
    return float(np.finfo(dtype).eps)
