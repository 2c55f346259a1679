"""The slopes of a training run at one step."""

from __future__ import annotations

from dataclasses import dataclass

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.movement import Movement
from prelu_tools.core.prelu.statistics import SlopeStatistics
from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.inspection import Finding


@comparable
@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One layer at one step."""

    name: str
    """The layer's name, as `inspect` has it."""
    parameter: str | None
    """The name of its slope tensor."""
    form: str
    """The class or function that spells it."""
    slopes: Array
    """Its slopes, flat; of a layer with very many, some of them at even distances."""
    is_sampled: bool
    """Whether these are not all of them."""
    statistics: SlopeStatistics
    """Statistics over all of its slopes."""
    health: tuple[str, ...]
    """Words of `core.prelu.statistics.slope_health`."""
    trends: tuple[str, ...]
    """Words of `core.prelu.movement.SlopeTrack.trends`, over the training so far."""
    movement: Movement
    """Compared with the record before, and with the first."""
    gradient: float | None
    """Euclidean norm of the last gradient of the slopes' parameters; None if unknown."""
    weight_decay: float
    """The weight decay that applies to them."""
    is_trained: bool
    """Whether they are learned at this step, and not frozen."""


@dataclass(frozen=True)
class SlopeRecord:
    """All layers at one step."""

    step: int
    """How many steps the optimizer has taken."""
    time: float
    """Seconds since 1970."""
    layers: tuple[LayerRecord, ...]
    """In the order of the model."""
    findings: tuple[Finding, ...] = ()
    """Warnings at this step."""
