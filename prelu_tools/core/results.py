"""What export, verify and doctor return: frozen, complete, and free of any framework.

The JSON contract names the fields (`reports/json.py` writes them); the reports need nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.slopes import PReLULayer

Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class ExportResult:
    """What `export` wrote."""

    source: str
    """The source as the user spelled it."""
    path: str
    """The file written."""
    n_bytes: int
    """Its size in bytes."""
    opset: int
    """Opset of the default ONNX domain."""
    route: str
    """Which converter made the graph, with its version."""
    layers: tuple[PReLULayer, ...]
    """The layers in the file; one PRelu node a call."""
    n_nodes: int
    """Nodes in the graph."""
    verification: VerifyResult | None
    """The check of the file against its source; None with `--no-verify`."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it went."""


@dataclass(frozen=True)
class OutputParity:
    """One output of the candidate against the reference's, over all inputs."""

    name: str
    """The candidate's name of it."""
    shape: tuple[int, ...]
    """Its shape in the first run, in the reference's layout."""
    max_abs_diff: float
    """Largest absolute difference; 0.0 or more, NaN where nothing finite could be compared."""
    max_rel_diff: float
    """Largest difference relative to the reference's value."""
    n_mismatched: int
    """Elements beyond the tolerance."""
    n_nonfinite_mismatch: int
    """Elements that are NaN or infinite on one side and not the same on the other."""
    verdict: Verdict
    """`inconclusive` where only NaN at the same places on both sides is wrong."""


@dataclass(frozen=True)
class LayerParity:
    """The slopes of one layer against the reference's, and how far the inputs reached them."""

    name: str
    """The reference's name of the layer (the candidate's, where the reference has none)."""
    slopes_equal: bool
    """Bit for bit, after sign and layout."""
    difference: str | None
    """In words, what differs: "channels 3 and 7 exchanged"; None where nothing does."""
    max_abs_diff: float | None
    """Of the layer's output; None where it was not tapped."""
    max_ulp_diff: int | None
    """Of the layer's output, in units in the last place; None where it was not tapped."""
    coverage: float | None
    """Share of its slopes whose negative branch the inputs reached; None where unknown."""
    verdict: Verdict
    """`fail` where anything of it differs."""


@dataclass(frozen=True)
class ProviderReport:
    """What was asked of onnxruntime and what it did."""

    requested: str
    """The name that the user gave."""
    actual: tuple[str, ...]
    """The execution providers that ran at least one node, most nodes first."""
    nodes_elsewhere: tuple[str, ...]
    """Nodes that ran on another provider than the one asked for."""


@dataclass(frozen=True)
class Tolerance:
    """|reference - candidate| <= rtol * |reference| + atol * max|reference|, per output."""

    rtol: float
    """Relative to each value."""
    atol: float
    """Relative to the largest absolute value of the output, or absolute where `scaled` is False."""
    scaled: bool
    """Whether `atol` is relative to the scale of the output."""
    origin: str
    """Where it comes from: "default for float32", "given"."""


@dataclass(frozen=True)
class CandidateReport:
    """One candidate on one provider."""

    model: str
    """As the user spelled it."""
    verdict: Verdict
    """The worst of its parts."""
    provider: ProviderReport | None
    """None for a candidate that onnxruntime does not run."""
    tolerance: Tolerance
    """What the outputs were held to."""
    outputs: tuple[OutputParity, ...]
    """Every output of the reference."""
    layers: tuple[LayerParity, ...]
    """Every layer of either side."""
    first_divergence: str | None
    """The first layer, in the reference's order, that differs; None where none does."""
    reasons: tuple[str, ...]
    """Why it is not a pass, in words."""


@dataclass(frozen=True)
class Coverage:
    """How many of all slopes had their negative branch exercised by the inputs."""

    exercised: int
    """Slopes that met a negative pre-activation at least once."""
    total: int
    """All slopes of the reference."""
    unreached: tuple[str, ...]
    """The others, as `layer[index]` into the flat slopes."""


@dataclass(frozen=True)
class VerifyResult:
    """What `verify` found."""

    verdict: Verdict
    """`fail` if any candidate failed, else `inconclusive` if any could not be judged."""
    reference: str
    """As the user spelled it."""
    reference_precision: Literal["float64", "float32"]
    """The precision of the reference outputs."""
    versions: Mapping[str, str]
    """Packages that took part."""
    seed: int
    """Of the inputs."""
    samples: int
    """Rows of input that were drawn or replayed."""
    coverage: Coverage | None
    """None where the reference's pre-activations cannot be seen."""
    candidates: tuple[CandidateReport, ...]
    """One for each candidate and provider."""
    reasons: tuple[str, ...]
    """Why the verdict is not a pass, in words."""


@dataclass(frozen=True)
class DoctorItem:
    """One thing that was looked at."""

    name: str
    """A package, an extra, a provider."""
    state: Literal["ok", "missing", "broken"]
    """`broken`: it is there and does not work."""
    detail: str
    """The version, or what is wrong."""
    advice: str = ""
    """What to do, where something is to be done."""


@dataclass(frozen=True)
class DoctorResult:
    """What `doctor` found on this machine."""

    python: str
    """Version of the interpreter."""
    platform: str
    """Operating system and processor."""
    core: tuple[DoctorItem, ...]
    """The packages that nothing works without."""
    extras: tuple[DoctorItem, ...]
    """The packages of the extras, each named `extra: package`."""
    providers: tuple[DoctorItem, ...]
    """Execution providers, each tried with a model of one PRelu node."""

    @property
    def works(self) -> bool:
        """Whether the core does: inspect, and verify on the CPU."""
        return all(item.state == "ok" for item in self.core)
