"""The expected values: those of the float64 run, where it agrees with float32."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from prelu_tools.commands.verify.reference.perturbed import SPREAD, PerturbedRuns
from prelu_tools.core.arrays import Array
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.rounding.spread import unit_of
from prelu_tools.core.rounding.tolerance import FACTOR, Extent

_PLAUSIBLE = 1.1e-4  # relative: more than any rounding that the perturbed runs do not show

Outputs = Sequence[Mapping[str, Array]]


@dataclass(frozen=True)
class Expected:
    """A tensor to compare with, and how far rounding may take it."""

    values: Array
    """In float64 where it equals float32 up to rounding."""
    scale: Array
    """See `Spread.scale`."""
    own_error: float
    """The largest difference among the values that float64 agrees on."""
    n_strange: int
    """Values that are something else in float64."""


def expected_of(narrow: Array, wide: Array, scale: Array) -> Expected:
    """Use the float64 run where it equals the float32 run up to rounding.

    It is not where float32 overflows, on the other side of a border, and in a model that does
    something else in float64: the float32 run is what a candidate is compared with there. Where it
    is, its distance is one more witness of what rounding does.
    """
    with np.errstate(all="ignore"):
        error = np.abs(narrow.astype(np.float64) - wide)
    room = FACTOR * (scale + unit_of(narrow, np.dtype(np.float32)) / 2)
    same = np.isfinite(narrow) & np.isfinite(wide)
    same &= error <= np.maximum(room, _PLAUSIBLE * np.abs(wide))
    unlike = ~same & ~((narrow == wide) | (np.isnan(narrow) & np.isnan(wide)))
    known = np.where(same, error, 0.0)
    return Expected(
        values=np.where(same, wide, narrow.astype(np.float64)),
        scale=np.maximum(scale, known).astype(np.float32),
        own_error=float(known.max(initial=0.0)),
        n_strange=int(unlike.sum()),
    )


@dataclass
class ExpectedOutputs:
    """Outputs to compare with, after both runs."""

    outputs: list[dict[str, Array]] = field(default_factory=list)
    """The outputs of each run; see `Centre.values`."""
    extents: dict[str, Extent] = field(default_factory=dict)
    """The extent of each output."""
    strange: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each output with any: the number of values that differ in float64, and of all values."""
    n_agreed: int = 0
    """The number of values, of all outputs, that float64 agrees on."""


def expected_outputs(narrow: Outputs, wide: Outputs, perturbed: PerturbedRuns) -> ExpectedOutputs:
    """Use float64 outputs where they equal float32 up to rounding; widens the spreads in place."""
    found = ExpectedOutputs()
    for run, (before, after) in enumerate(zip(narrow, wide, strict=True)):
        spreads, outputs = perturbed.outputs[run], dict(before)
        for name, values in before.items():
            extent = found.extents.setdefault(name, Extent())
            if not np.issubdtype(values.dtype, np.floating) or after[name].shape != values.shape:
                extent.note(values)
                continue
            centre = expected_of(values, after[name], spreads[name].scale)
            spreads[name] = replace(spreads[name], scale=centre.scale)
            outputs[name] = centre.values
            _widen(extent, centre)
            found.n_agreed += values.size - centre.n_strange
            strange, total = found.strange.get(name, (0, 0))
            found.strange[name] = (strange + centre.n_strange, total + values.size)
        found.outputs.append(outputs)
    found.strange = {name: counts for name, counts in found.strange.items() if counts[0]}
    return found


def expected_layers(stash: Stash, seen: Iterable[tuple[int, str, int]]) -> dict[str, Extent]:
    """The same for layer outputs in the stash."""
    extents: dict[str, Extent] = {}
    for run, layer, call in seen:
        narrow, wide = (stash.get((kind, run, layer, call)) for kind in ("float32", "float64"))
        extent = extents.setdefault(layer, Extent())
        key = (SPREAD, run, layer, call)
        if key not in stash or narrow.shape != wide.shape:
            extent.note(narrow, wide if narrow.shape == wide.shape else None)
            continue
        centre = expected_of(narrow, wide, stash.get(key))
        stash.put(("float64", run, layer, call), centre.values)
        stash.put(key, centre.scale)
        _widen(extent, centre)
    return extents


def _widen(extent: Extent, centre: Expected) -> None:
    extent.note(centre.values)
    extent.own_error = max(extent.own_error or 0.0, centre.own_error)
