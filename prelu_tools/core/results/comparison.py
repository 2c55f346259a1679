"""What `inspect A B` returns."""

from __future__ import annotations

from dataclasses import dataclass

from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.reasons import counted
from prelu_tools.core.results.showing import Shown


@dataclass(frozen=True)
class LayerChange:
    """One layer, compared between two models."""

    name: str
    """Its name in the first model, or in the second if the first does not have it."""
    other_name: str | None
    """Its name in the second model, if it differs."""
    n_slopes: int
    """Slopes in the first model (in the second, if the first does not have it)."""
    difference: str | None
    """The difference in words; None if the slopes are equal bit for bit."""
    max_abs_change: float | None
    """Largest absolute change of a slope; None if they cannot be subtracted."""
    mean_change: float | None
    """Mean of second minus first; None if they cannot be subtracted."""
    n_sign_changes: int | None
    """Slopes that are below 0 in one model and above 0 in the other; None as above."""
    n_changed: int | None = None
    """Slopes that differ in at least one bit; None as above."""
    largest: tuple[int, float, float] | None = None
    """The slope that changed most: its place (in the flat slopes of the first model), its value
    before and after; None if none changed, or as above."""


@dataclass(frozen=True, repr=False)
class CompareResult(Shown):
    """The result of `inspect A B`."""

    left: InspectResult
    """The first model."""
    right: InspectResult
    """The second model."""
    changes: tuple[LayerChange, ...]
    """In the order of the first model; layers that only the second has come last."""

    def _in_short(self) -> str:
        n_changed = sum(change.difference is not None for change in self.changes)
        return (
            f"{self.left.path} to {self.right.path}: {n_changed:,} of "
            f"{counted(len(self.changes), 'layer')} changed"
        )
