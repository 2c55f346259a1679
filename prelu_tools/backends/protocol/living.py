"""A model that is being trained by other code, as a logger of slopes sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer


@dataclass(frozen=True)
class LayerState:
    """One layer at one moment."""

    slopes: Array
    """Its effective slopes, flat, in the order of the layer's."""
    is_trained: bool
    """Whether what they come from takes gradients."""
    is_updated: bool | None
    """Whether an optimizer has it; None if that is not known."""
    weight_decay: float
    """The weight decay that its optimizer applies to it; 0 for none, or if it is not known."""
    gradient: float | None
    """Euclidean norm of the last gradient of what they come from; None if there is none."""


class LiveModel(Protocol):
    """See the module's docstring."""

    @property
    def layers(self) -> Sequence[PReLULayer]:
        """The layers that `inspect` finds in it, as they were when it was looked at first."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes on how they were found."""
        ...

    @property
    def shows_gradients(self) -> bool:
        """Whether `LayerState.gradient` is that of the training itself."""
        ...

    def look(self) -> Sequence[LayerState]:
        """Each layer as it is now, in their order."""
        ...

    def negatives(self) -> Mapping[str, Array] | None:
        """For each layer, for each of its slopes, the inputs below 0 that it meets in a sample.

        The sample is run as in training, and changes nothing. A layer that was not seen in it is
        left out. None if there is no sample, or it does not run.
        """
        ...
