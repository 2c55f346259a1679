"""What a user may ask of `verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.results.verification import Tolerance
from prelu_tools.core.rounding.tolerance import CALIBRATED


@dataclass(frozen=True)
class VerifyRequest:
    """What to check, and how."""

    reference: str
    """The source that is taken to be right."""
    candidates: tuple[str, ...]
    """The sources to compare with it; at least one."""
    providers: tuple[str, ...] = ("cpu",)
    """Execution providers for ONNX candidates; each is checked."""
    samples: int | None = None
    """Rows of input to draw; None for the usual number, and for none beside a file of inputs."""
    seed: int = DEFAULT_SEED
    """Of the inputs."""
    inputs_file: Path | None = None
    """An `.npz` file to replay; with `samples`, beside what is drawn."""
    bundle: Path | None = None
    """A folder for the smallest thing that shows a failure; None for none."""
    save_inputs: Path | None = None
    """Where to keep the inputs that were used, as an `.npz` file; None not to."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The values that an input may take, by its name; by "" for all others."""
    tolerance: Tolerance = CALIBRATED
    """What differences may be."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """By `reference`, `candidate`, or a model's spelling."""
    input_layouts: Mapping[str, Layout] = field(default_factory=dict)
    """The same for inputs only, where those differ; by `reference` or `candidate`."""
    layers: bool = True
    """Whether to look at every layer as the models run."""
    search_seconds: float = 5.0
    """How long to look for inputs that reach slopes which no draw reached."""
    min_coverage: float | None = None
    """The share of slopes that the inputs have to reach; None for no gate."""
    power: bool = True
    """Whether to plant faults in ONNX candidates, to see what the checks would have caught."""
    min_power: float | None = None
    """The share of these, on slopes that are reached, that has to be caught; None for all of them
    where it can be measured: a number makes it inconclusive where it cannot."""
    allow_fallback: bool = False
    """Whether nodes may run on another provider than the one asked for."""
    strict_special: bool = False
    """Whether a layer that differs for infinite or NaN inputs only fails."""
    strict_interface: bool = False
    """Whether any difference in names, types and sizes of inputs and outputs fails."""
    allow_no_prelu: bool = False
    """Whether models without any PReLU may pass."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the sources."""
