"""The effort of a run, in seconds that follow from its size: the same on every machine.

Whatever is limited by its cost is limited by this effort, so that no verdict depends on a clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

_A_LAYER, _A_VALUE, _A_PARAMETER = 5e-4, 1e-8, 1e-9  # seconds, on one core of 2020 or so


def effort_of(n_values: float, n_layers: int, n_parameters: int) -> float:
    """About how many seconds one run takes.

    Args:
        n_values: the values of its inputs and outputs, and those that meet a PReLU.
        n_layers: PReLU layers.
        n_parameters: elements of all parameters.
    """
    return _A_LAYER * (1 + n_layers) + _A_VALUE * n_values + _A_PARAMETER * n_parameters


@dataclass
class Budget:
    """What a search may take: effort, which counts, and time, which only ends a very slow one."""

    effort: float
    """Seconds of effort in all."""
    seconds: float
    """Seconds by the clock, from the beginning: many times what the effort usually takes."""
    spent: float = 0.0
    """The effort so far."""
    ended_by: Literal["effort", "clock"] | None = None
    """What ended the search; None while there is enough left."""
    _began: float = field(default_factory=lambda: time.monotonic())

    def spend(self, effort: float) -> bool:
        """Spend some effort; False from the first time that there is not as much left, or no time.

        Args:
            effort: what is about to be done.
        """
        if self.ended_by is None:
            if time.monotonic() - self._began > self.seconds:
                self.ended_by = "clock"
            elif self.spent + effort > self.effort:
                self.ended_by = "effort"
            else:
                self.spent += effort
        return self.ended_by is None

    def extend(self, effort: float, seconds: float) -> None:
        """Go on with another limit for the whole search."""
        self.effort, self.seconds, self.ended_by = effort, seconds, None
