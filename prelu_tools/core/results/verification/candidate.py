"""What `verify` found for one candidate on one execution provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.verification.parity import (
    InterfaceDifference,
    LayerParity,
    OutputParity,
    SpecialValue,
    Verdict,
)


@comparable
@dataclass(frozen=True, eq=False)
class ProviderReport:
    """What was requested of onnxruntime or another runtime, and what it did."""

    requested: str
    """The name that the user gave."""
    actual: tuple[str, ...]
    """The execution providers that ran at least one node, most nodes first."""
    nodes_elsewhere: tuple[str, ...]
    """Nodes that ran on a provider other than the requested one."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options that were passed to it; TF32 is off unless they say otherwise."""
    is_runtime: bool = False
    """Whether it is its own runtime, and not an execution provider of onnxruntime."""


@dataclass(frozen=True)
class Tolerance:
    """How far a candidate may differ from the reference.

    With the origin "sensitivity", each value has its own limit: `multiple` times what rounding
    does to it in the perturbed runs of the reference, plus `ulps` units in its last place.
    Otherwise, with `multiple`, at most that many times the reference's own float32 error (its
    float32 run against its float64 run), plus `ulps` units in the last place of the largest value;
    scaled up for a candidate of a narrower type. Otherwise |difference| <= rtol * |reference| +
    atol, where `atol` is relative to the largest value if `scaled`.
    """

    rtol: float
    """Relative to each value."""
    atol: float
    """Relative to the largest absolute value of the output, or absolute where `scaled` is False."""
    scaled: bool
    """Whether `atol` is relative to the scale of the output."""
    origin: str
    """Its origin: "sensitivity", "calibrated", "default for float32", "given"."""
    multiple: float | None = None
    """Multiple of the reference's own rounding; None if that is not used."""
    ulps: float | None = None
    """Units in the last place of the output's scale, with "sensitivity" of each value; None as
    above."""


@dataclass(frozen=True)
class Power:
    """What the numeric checks catch: slope faults planted in a copy of the candidate."""

    planted: int
    """Faults that change a slope which the inputs reach."""
    detected: int
    """Planted faults that a layer or an output showed."""
    by_layers: int
    """Detected faults that showed at the layer in isolation."""
    by_outputs: int
    """Detected faults that showed at an output of the model."""
    escaped: tuple[str, ...]
    """Faults that were not detected, in words."""
    unreached: int
    """Faults planted in slopes that no input reaches; no numeric check can see them."""
    sampled: bool
    """Whether only a sample of the possible faults was planted; it includes every layer."""
    hidden: int = 0
    """Faults in reached slopes that change no layer by more than rounding does on these inputs;
    they need not be caught, and are not counted in the other fields."""


@dataclass(frozen=True)
class CandidateReport:
    """One candidate on one provider."""

    model: str
    """The source as the user wrote it."""
    verdict: Verdict
    """The worst of its parts."""
    provider: ProviderReport | None
    """What ran it; None for a candidate in its own framework."""
    tolerance: Tolerance
    """The tolerance for the outputs."""
    outputs: tuple[OutputParity, ...]
    """Every output of the reference."""
    layers: tuple[LayerParity, ...]
    """Every layer of the reference and of the candidate."""
    first_divergence: str | None
    """The first layer, in the reference's order, that differs; None if none does."""
    reasons: tuple[str, ...]
    """Why it is not a pass, in words."""
    special: tuple[SpecialValue, ...] = ()
    """Special values for which a layer differs; those without a known reason fail."""
    power: Power | None = None
    """The share of planted faults that were caught; None if it was not measured."""
    interface: tuple[InterfaceDifference, ...] = ()
    """Names, types, sizes and axes of inputs and outputs that differ from the reference's."""
    seconds: float = field(default=0.0, compare=False)
    """How long the check took; 0 if that is not known."""
