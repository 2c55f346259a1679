"""What `inspect --series` returns: how slopes moved over checkpoints, or over a training run."""

from __future__ import annotations

from dataclasses import dataclass

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.movement import Movement
from prelu_tools.core.prelu.statistics import SlopeStatistics
from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.reasons import counted
from prelu_tools.core.results.showing import Shown


@dataclass(frozen=True)
class SeriesPoint:
    """One checkpoint, or one record of a training's log."""

    name: str
    """Its name: `step 100`, `epoch 3`, or its file's name."""
    path: str
    """The file that it comes from."""
    step: int | None
    """The step or epoch in its name or its record; None if there is none."""


@comparable
@dataclass(frozen=True, eq=False)
class LayerPoint:
    """One layer at one point."""

    slopes: Array
    """Its slopes, flat; of a layer with very many, those that a log kept."""
    statistics: SlopeStatistics
    """Statistics over all of its slopes."""
    health: tuple[str, ...]
    """Words of `core.prelu.statistics.slope_health`."""
    movement: Movement
    """Compared with the points before."""


@comparable
@dataclass(frozen=True, eq=False)
class LayerSeries:
    """One layer over all points."""

    name: str
    """Its name at the first point that has it."""
    parameter: str | None
    """The name of its slope tensor there."""
    form: str
    """The form in which it is written there."""
    points: tuple[LayerPoint | None, ...]
    """As many as the series has; None if a checkpoint lacks the layer."""
    trends: tuple[str, ...]
    """Words of `core.prelu.movement.SlopeTrack.trends`, over all points."""
    is_sampled: bool = False
    """Whether `LayerPoint.slopes` are not all of them: then movements are of these alone."""

    @property
    def present(self) -> tuple[LayerPoint, ...]:
        """The points that have it, at least one."""
        return tuple(point for point in self.points if point is not None)

    @property
    def first(self) -> LayerPoint:
        """The first point that has it."""
        return self.present[0]

    @property
    def last(self) -> LayerPoint:
        """The last point that has it."""
        return self.present[-1]

    @property
    def farthest(self) -> float:
        """Largest absolute distance of a slope from its first value, at any point."""
        return max(point.movement.from_start for point in self.present)

    @property
    def n_sign_changes(self) -> int:
        """How often a slope went from below 0 to above it or back, over all points."""
        return sum(point.movement.n_sign_changes for point in self.present)


@dataclass(frozen=True, repr=False)
class SeriesResult(Shown):
    """The result of `inspect --series`."""

    path: str
    """The log, or the first and the last checkpoint."""
    points: tuple[SeriesPoint, ...]
    """In order."""
    layers: tuple[LayerSeries, ...]
    """In the order of the first checkpoint; layers of later ones only come last."""
    findings: tuple[Finding, ...]
    """Findings over all points, or during training."""
    notes: tuple[str, ...] = ()
    """Notes on how the points were read."""
    failures: tuple[str, ...] = ()
    """Why it fails a gate (`--fail-on`, `--expect-layers`)."""

    def _in_short(self) -> str:
        layers = counted(len(self.layers), "PReLU layer")
        return f"{self.path}: {counted(len(self.points), 'point')}, {layers}"

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """The same as `findings`."""
        return self.findings
