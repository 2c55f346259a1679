"""Warnings about slopes during training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.protocol.living import LayerState
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.movement import HIGHEST, LOWEST, SlopeTrack
from prelu_tools.core.results.inspection import Finding

PATIENCE = 5
"""Changes from record to record in which a layer has to move."""

Negatives = Callable[[], Mapping[str, Array] | None]
"""Counts, for each slope of each layer, its inputs below 0 in a sample; None if it cannot."""


@dataclass(frozen=True)
class Seen:
    """One layer at a step, and its past."""

    name: str
    """The layer."""
    state: LayerState
    """What it is like now."""
    track: SlopeTrack
    """How it moved."""
    dtype: str
    """The type of its slopes."""


class WarningRules:
    """Says each thing of a layer once."""

    def __init__(self, shows_gradients: bool) -> None:
        """Nothing is said yet.

        Args:
            shows_gradients: whether a gradient of None means that none came.
        """
        self._shows_gradients = shows_gradients
        self._said: set[tuple[str, str]] = set()
        self._silent: Counter[str] = Counter()  # records in a row without a gradient, by layer

    def findings(self, step: int, layers: Sequence[Seen], negatives: Negatives) -> list[Finding]:
        """What is new at a step."""
        asked: list[Mapping[str, Array] | None] = []

        def counts(layer: str) -> Array | None:
            if not asked:
                asked.append(negatives())
            return None if asked[0] is None else asked[0].get(layer)

        found = [finding for seen in layers for finding in self._of(step, seen, counts)]
        return [*self._decay(layers), *found]

    def _is_new(self, code: str, layer: str) -> bool:
        new = (code, layer) not in self._said
        self._said.add((code, layer))
        return new

    def _of(
        self, step: int, seen: Seen, counts: Callable[[str], Array | None]
    ) -> Iterator[Finding]:
        trends, low, high = seen.track.trends(), *_range(seen.state.slopes)
        if not np.isfinite(seen.state.slopes).all() and self._is_new("non_finite", seen.name):
            text = f"slopes are NaN or infinite since step {step}: training has diverged"
            yield Finding("non_finite", "error", text, seen.name)
        if "outside_range" in trends and self._is_new("outside_range", seen.name):
            text = (
                f"slopes are from {low:.4g} to {high:.4g} at step {step}, and have left "
                f"[{LOWEST:g}, {HIGHEST:g}]: if this continues, lower the learning rate or clip "
                "their gradients"
            )
            yield Finding("outside_range", "warning", text, seen.name)
        if not seen.state.is_trained:
            return
        decay = seen.state.weight_decay
        if "pulled_to_zero" in trends and decay and self._is_new("pulled_to_zero", seen.name):
            movements = seen.track.movements
            text = (
                f"the mean magnitude of its slopes fell from {movements[0].mean_size:.4g} to "
                f"{movements[-1].mean_size:.4g}, and at each of the last records too, under a "
                f"weight decay of {decay:g}: leave slopes out of it (slope_parameter_groups, "
                "exclude_slopes_from_weight_decay)"
            )
            yield Finding("pulled_to_zero", "warning", text, seen.name)
        self._silent[seen.name] = 0 if seen.state.gradient else self._silent[seen.name] + 1
        if len(seen.track.movements) > PATIENCE:
            yield from self._motionless(step, seen, trends, counts)

    def _motionless(
        self, step: int, seen: Seen, trends: tuple[str, ...],
        counts: Callable[[str], Array | None],
    ) -> Iterator[Finding]:  # fmt: skip
        unmoved = seen.track.unmoved
        if "not_moving" in trends:
            if self._is_new("not_moving", seen.name):
                values = seen.state.slopes
                start = f"{values[0]:g}" if (values == values[0]).all() else "its first values"
                why = self._reason(seen, counts(seen.name))
                text = f"no slope has moved from its initial value ({start}) by step {step}: {why}"
                yield Finding("not_moving", "warning", text, seen.name)
        elif self._shows_gradients and self._silent[seen.name] > PATIENCE:
            if self._is_new("no_gradient", seen.name):
                why = self._reason(seen, counts(seen.name))
                text = f"nothing but weight decay has moved its slopes by step {step}: {why}"
                yield Finding("no_gradient", "warning", text, seen.name)
        elif unmoved.any() and self._is_new("partly_not_moving", seen.name):
            reached = counts(seen.name)
            never = 0 if reached is None else int((unmoved & (reached == 0)).sum())
            why = f": no input of {never} of these was negative in a sample" if never else ""
            text = (
                f"{int(unmoved.sum()):,} of {unmoved.size:,} slopes have not moved from their "
                f"initial values by step {step}{why}"
            )
            yield Finding("partly_not_moving", "warning", text, seen.name)

    def _reason(self, seen: Seen, counts: Array | None) -> str:
        state = seen.state
        if state.is_updated is False:
            return "the optimizer does not have them"
        if state.gradient:
            return (
                f"their gradient is {state.gradient:.3g}, so the steps may be too small for "
                f"{seen.dtype} to hold: raise the learning rate, or keep slopes in float32"
            )
        if counts is not None and not counts.any():
            return "none of its inputs was negative in a sample, so no gradient reaches them"
        known = "their gradient is 0" if state.gradient == 0 else "no gradient reaches them"
        known = known if self._shows_gradients else "no gradient seems to reach them"
        if counts is None:
            return f"{known}: none of its inputs is negative, or nothing after it learns"
        return f"{known}, though inputs are negative: nothing after it learns, or it is cut off"

    def _decay(self, layers: Sequence[Seen]) -> Iterator[Finding]:
        """At first, and once: that slopes are decayed at all."""
        decayed = [seen for seen in layers if seen.state.is_trained and seen.state.weight_decay]
        if decayed and self._is_new("slopes_decay", ""):
            amounts = sorted({seen.state.weight_decay for seen in decayed})
            said = f"{amounts[0]:g}" if len(amounts) == 1 else f"{amounts[0]:g} to {amounts[-1]:g}"
            text = (
                f"a weight decay of {said} applies to the slopes of {len(decayed):,} of "
                f"{len(layers):,} PReLU layers, and pulls them to 0; He et al. (2015) use none: "
                "slope_parameter_groups (PyTorch) or exclude_slopes_from_weight_decay (Keras) "
                "leaves them out"
            )
            yield Finding("slopes_decay", "info", text)


def _range(slopes: Array) -> tuple[float, float]:
    finite = slopes[np.isfinite(slopes)]
    return (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
