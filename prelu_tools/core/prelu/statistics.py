"""Statistics of a layer's slopes, and what they say about what was learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.starts import are_at_start
from prelu_tools.core.results.comparable import comparable


@dataclass(frozen=True)
class Thresholds:
    """Where health begins and ends."""

    near: float = 0.01
    """How close to 0 (or 1) a slope has to be to count as 0 (or 1)."""


DEFAULT_THRESHOLDS = Thresholds()


@comparable
@dataclass(frozen=True, eq=False)
class SlopeStatistics:
    """Statistics over all slopes of a layer, computed in float64."""

    count: int
    """How many slopes there are."""
    mean: float
    """Arithmetic mean."""
    std: float | None
    """Sample deviation (n - 1), as `torch.Tensor.std`; None for one value."""
    min: float
    """The smallest slope."""
    max: float
    """The largest slope."""
    median: float
    """The median."""
    n_negative: int
    """Slopes below 0: these turn the sign of a negative input."""
    n_near_zero: int
    """Slopes within `Thresholds.near` of 0: these act as ReLU."""
    n_above_one: int
    """Slopes above 1: these enlarge a negative input."""
    n_nonfinite: int
    """Slopes that are NaN or infinite."""


def slope_statistics(slopes: Array, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> SlopeStatistics:
    """Statistics of an array of slopes of any shape, with at least one element."""
    values = np.asarray(slopes, dtype=np.float64).reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):
        return SlopeStatistics(
            count=values.size,
            mean=float(values.mean()),
            std=float(values.std(ddof=1)) if values.size > 1 else None,
            min=float(values.min()),
            max=float(values.max()),
            median=quantile(values, 0.5),
            n_negative=int((values < 0).sum()),
            n_near_zero=int((np.abs(values) <= thresholds.near).sum()),
            n_above_one=int((values > 1).sum()),
            n_nonfinite=int((~np.isfinite(values)).sum()),
        )


def quantile(values: Array, share: float) -> float:
    """Like numpy.quantile on a flat array, but without importing numpy.ma, which is slow."""
    if np.isnan(values).any():
        return float("nan")
    ordered = np.sort(values)
    position = share * (values.size - 1)
    below = int(position)
    low, high = float(ordered[below]), float(ordered[min(below + 1, values.size - 1)])
    part = position - below
    return low if part == 0.0 or low == high else low * (1 - part) + high * part


def slope_health(
    slopes: Array, thresholds: Thresholds = DEFAULT_THRESHOLDS, start: float | None = None
) -> tuple[str, ...]:
    """The health of the slopes, as words of the JSON contract, in a fixed order.

    `at_init`: all equal to `start`; where that is None, to 0.25 or to 0. `relu_like`,
    `identity_like`: all within `near` of 0 or 1. `leaky`: all in (0, 1) and not relu_like.
    `sign_flipping`: some below 0. `expansive`: some above 1. `uniform`: several, all equal.
    `non_finite`: some NaN or infinite.
    """
    values = np.asarray(slopes, dtype=np.float64).reshape(-1)
    near = thresholds.near
    relu_like = bool((np.abs(values) <= near).all())
    checks = {
        "at_init": are_at_start(np.asarray(slopes), start),
        "relu_like": relu_like,
        "leaky": bool(((values > 0) & (values < 1)).all()) and not relu_like,
        "identity_like": bool((np.abs(values - 1) <= near).all()),
        "sign_flipping": bool((values < 0).any()),
        "expansive": bool((values > 1).any()),
        "uniform": values.size > 1 and bool((values == values[0]).all()),
        "non_finite": not np.isfinite(values).all(),
    }
    return tuple(word for word, holds in checks.items() if holds)
