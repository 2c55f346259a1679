"""What `inspect` returns: frozen, complete, independent of any framework."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import SlopeStatistics, slope_statistics
from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.reasons import counted
from prelu_tools.core.results.showing import Shown

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Something about a model that its owner should know."""

    code: str
    """A stable name, such as `no_prelu`."""
    severity: Severity
    """How bad it is."""
    message: str
    """What will happen, where, and what to do."""
    layer: str | None = None
    """The layer it is about; None for the model as a whole."""


@comparable
@dataclass(frozen=True, eq=False)
class LayerUsage:
    """How data uses one layer; arrays are flat, in the order of the layer's slopes."""

    negative_share: Array
    """For each slope, the share of its inputs that are negative, from 0 to 1."""
    output_share: float
    """The share of the layer's output that its slopes contribute: sum |a x| over x < 0, of sum |y|.
    """

    @property
    def unused(self) -> tuple[int, ...]:
        """The slopes whose negative branch the data never used."""
        return tuple(int(index) for index in np.flatnonzero(self.negative_share == 0))


@dataclass(frozen=True)
class OtherActivation:
    """A LeakyRelu or Relu: a related activation whose slope was not learned."""

    name: str
    """Name of the node."""
    operator: str
    """`LeakyRelu` or `Relu`."""
    slope: float
    """Its slope: 0 for Relu."""


@dataclass(frozen=True)
class RefusedForm:
    """A part of a graph that resembles PReLU but is not one."""

    node: str
    """The node that produces its output."""
    form: str
    """The form that it resembles."""
    reason: str
    """Why it is not a PReLU."""


@dataclass(frozen=True)
class LayerReport:
    """One layer, with what its slopes show."""

    layer: PReLULayer
    """The layer itself."""
    statistics: SlopeStatistics
    """Statistics over all of its slopes."""
    health: tuple[str, ...]
    """What the slopes say: words of `core.prelu.statistics.slope_health`."""
    findings: tuple[Finding, ...] = ()
    """Findings about this layer."""
    usage: LayerUsage | None = None
    """How the data of `--data` uses it; None without `--data`."""


@dataclass(frozen=True)
class LayerSummary:
    """A layer as the document of its model has it, without its slopes."""

    name: str
    """Its name."""
    form: str
    """How the graph writes it."""
    sharing: str
    """How its slopes are shared."""
    slope_shape: tuple[int, ...]
    """The shape in which they are stored."""
    statistics: SlopeStatistics
    """Over all of its slopes."""
    health: tuple[str, ...]
    """What they say."""
    findings: tuple[Finding, ...]
    """About this layer."""


@dataclass(frozen=True)
class InspectSummary:
    """What the document of a model says of its layers."""

    layers: tuple[LayerSummary, ...]
    """In the order of the graph."""
    statistics: SlopeStatistics | None
    """Over all slopes; None if there are none."""
    findings: tuple[Finding, ...]
    """About the model as a whole."""

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Findings about the model and about its layers."""
        return (*self.findings, *(f for layer in self.layers for f in layer.findings))


@dataclass(frozen=True, repr=False)
class InspectResult(Shown):
    """The result of `inspect` for one model."""

    path: str
    """The source as the user wrote it."""
    format: str
    """`onnx`, `torch` or `keras`."""
    opset: int | None
    """Opset of the default ONNX domain; None for a source that is not ONNX."""
    producer: str
    """The program that wrote the model: name and version."""
    n_parameters: int
    """Elements of all parameters: weights, biases, slopes. Those that a quantized model stores as
    integer codes count; its scales and zero points do not."""
    layers: tuple[LayerReport, ...]
    """In the order of the graph."""
    findings: tuple[Finding, ...]
    """Findings about the model as a whole."""
    others: tuple[OtherActivation, ...] = ()
    """LeakyRelu and Relu nodes, in the order of the graph."""
    refused: tuple[RefusedForm, ...] = ()
    """Near misses of PReLU; searched for only with `-v`."""
    notes: tuple[str, ...] = ()
    """Notes on how the model was read."""
    failures: tuple[str, ...] = ()
    """Why the model fails a gate (`--fail-on`, `--expect-layers`)."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took; 0 if that is not known."""

    def _in_short(self) -> str:
        n_slopes = sum(report.statistics.count for report in self.layers)
        return (
            f"{self.path}: {counted(len(self.layers), 'PReLU layer')}, {counted(n_slopes, 'slope')}"
        )

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Findings about the model and about its layers."""
        return (*self.findings, *(f for report in self.layers for f in report.findings))

    @property
    def statistics(self) -> SlopeStatistics | None:
        """Over all slopes of the model; None if it has none."""
        if not self.layers:
            return None
        slopes = [report.layer.slopes.reshape(-1).astype(np.float64) for report in self.layers]
        near_zero = sum(report.statistics.n_near_zero for report in self.layers)
        return replace(slope_statistics(np.concatenate(slopes)), n_near_zero=near_zero)
