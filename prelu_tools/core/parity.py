"""Are two outputs the same, and two sets of slopes? NaN never passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.results import OutputParity, Tolerance, Verdict

_RELATIVE = {"float64": (1e-7, 1e-9), "float32": (1e-4, 1e-5), "float16": (1e-2, 4e-3)}
_ORDER: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")


def default_tolerance(dtype: np.dtype[np.generic]) -> Tolerance:
    """What rounding alone may do to outputs of this type, after a few dozen layers.

    Integers and booleans have to be equal.
    """
    rtol, atol = _RELATIVE.get(dtype.name, (0.0, 0.0))
    return Tolerance(rtol, atol, scaled=True, origin=f"default for {dtype.name}")


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict over several: any failure fails; nothing at all is inconclusive, not a pass."""
    return next((verdict for verdict in _ORDER if verdict in verdicts), "inconclusive")


def compare_outputs(
    name: str, references: Sequence[Array], candidates: Sequence[Array], tolerance: Tolerance
) -> OutputParity:
    """Compare one output over several runs.

    Args:
        name: what to call it.
        references: one array a run.
        candidates: one array a run, in the reference's layout.
        tolerance: see `Tolerance`; the scale is taken over all runs.
    """
    pairs = list(zip(references, candidates, strict=True))
    if any(reference.shape != candidate.shape for reference, candidate in pairs):
        shape = next(c.shape for r, c in pairs if r.shape != c.shape)
        return OutputParity(name, shape, float("nan"), float("nan"), 0, 0, "fail")
    reference, candidate = (
        np.concatenate([pair[side].reshape(-1) for pair in pairs]) for side in (0, 1)
    )
    unequal_integers = 0
    if not (np.issubdtype(reference.dtype, np.inexact)):
        unequal_integers = int((reference != candidate).sum())  # float64 has 53 bits only
    reference, candidate = reference.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(reference) & np.isfinite(candidate)
    both_nan = np.isnan(reference) & np.isnan(candidate)
    same_infinity = ~finite & ~both_nan & (reference == candidate)
    n_nonfinite = int((~finite & ~both_nan & ~same_infinity).sum())
    difference = np.abs(reference[finite] - candidate[finite])
    size = np.abs(reference[finite])
    scale = float(size.max(initial=0.0)) if tolerance.scaled else 1.0
    n_mismatched = int((difference > tolerance.rtol * size + tolerance.atol * scale).sum())
    n_mismatched = max(n_mismatched, unequal_integers)
    relative = difference / np.maximum(size, np.finfo(np.float32).tiny)
    verdict: Verdict = "pass"
    if n_mismatched or n_nonfinite:
        verdict = "fail"
    elif both_nan.any() or reference.size == 0:
        verdict = "inconclusive"
    return OutputParity(
        name=name,
        shape=pairs[0][0].shape,
        max_abs_diff=float(difference.max()) if difference.size else float("nan"),
        max_rel_diff=float(relative.max()) if difference.size else float("nan"),
        n_mismatched=n_mismatched,
        n_nonfinite_mismatch=n_nonfinite,
        verdict=verdict,
    )
