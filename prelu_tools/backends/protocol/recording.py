"""The content of a record: its source, and everything that a check needs of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.domains import InputDomain, SizesTried
from prelu_tools.core.files.documents import Stored
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import Reason


@dataclass(frozen=True)
class Sentence:
    """A sentence of a result."""

    text: str
    """As it is shown."""
    code: str | None = None
    """Its stable code."""

    @property
    def reason(self) -> Reason:
        """It as results have it."""
        return Reason(self.text, self.code)


@dataclass(frozen=True)
class RecordedFile:
    """The file that has what a source has learned."""

    source: str
    """The source without its folders, as an exported model states it."""
    path: str
    """Where it was."""
    sha256: str
    """What was in it."""


@dataclass(frozen=True)
class RecordedSpread:
    """How far rounding may take each value of an output; see `core.rounding.spread.Spread`."""

    scale: Stored
    """float32, of the output's shape, or of none for integers."""
    n_flips: int = 0
    """Values on a border at most."""
    border: Stored | None = None
    """Where a border was crossed; None if nowhere."""
    reach: Stored | None = None
    """How far a value on a border may be off."""
    lost: Stored | None = None
    """Where a perturbed run was not finite."""
    rough: Stored | None = None
    """What is made of rounding."""


@dataclass(frozen=True)
class RecordedOutput:
    """An output of one run."""

    given: Stored
    """The value as the source returned it."""
    expected: Stored | None = None
    """The expected value in float64; None if it is `given`."""
    spread: RecordedSpread | None = None
    """None if the source's operators could not be perturbed by rounding."""
    coarser: Mapping[str, RecordedSpread] = field(default_factory=dict)
    """The same for candidates that compute in a narrower type, by its name."""


@dataclass(frozen=True)
class RecordedCall:
    """A call of a PReLU layer in one run."""

    layer: str
    """The layer's name."""
    call: int
    """Which call of it."""
    expected: Stored
    """Its output: in float64 if the record's precision is float64."""
    scale: Stored | None = None
    """How far rounding may take each value; None if that is not known."""
    x: Stored | None = None
    """Its input, in the run in which layers are looked for by their values."""
    y: Stored | None = None
    """Its output there, in the source's own type."""
    row_axis: int | None = None
    """The axis of the batch; None if its rows cannot be separated."""


@dataclass(frozen=True)
class RecordedRun:
    """One run of the source."""

    inputs: Mapping[str, Stored]
    """By name."""
    outputs: Mapping[str, RecordedOutput]
    """By name."""
    counts: Mapping[str, Stored]
    """By the layer's name: for each slope, flat, the positions where its input was negative."""
    calls: tuple[RecordedCall, ...] = ()
    """The layers' outputs; empty if the record would be too large."""


@dataclass(frozen=True)
class RecordedLayer:
    """A PReLU layer."""

    layer: PReLULayer
    """The layer."""
    scale: float
    """Largest absolute finite value of its output."""
    own_error: float | None
    """Largest difference of its float32 run from its float64 run; None without the latter."""
    is_unread: bool
    """Whether no output depends on it."""
    formula: Literal["select", "relus"] | None = None
    """The formula that answers like it for every special value, bit for bit; None for none."""
    special: Mapping[str, Stored] = field(default_factory=dict)
    """Without a formula: by type, what it makes of the special values of that type."""


@dataclass(frozen=True)
class OutputFacts:
    """An output over all runs."""

    dtype: str
    """The numpy name of its type in the source."""
    scale: float
    """Largest absolute finite value."""
    own_error: float | None
    """See `RecordedLayer.own_error`."""
    dependence: int | None = None
    """What it depends on: 0 nothing, 1 sizes, 2 values of the inputs; None if unknown."""
    row_axis: int | None = None
    """The axis of the batch; None if its rows cannot be separated."""


@dataclass(frozen=True)
class Recording:
    """A record."""

    source: str
    """The source as the user spelled it."""
    framework: str
    """`torch`, `keras` or `onnx`."""
    producer: str
    """The framework and its version."""
    versions: Mapping[str, str]
    """Packages that took part."""
    n_parameters: int
    """Elements of all parameters."""
    computes_in: str | None
    """The type narrower than float32 that it computes in; None for none."""
    inputs: tuple[TensorSpec, ...]
    """Its inputs."""
    outputs: Mapping[str, OutputFacts]
    """Its outputs by name, in its own order."""
    layers: tuple[RecordedLayer, ...]
    """Its PReLU layers, in the order of their calls."""
    runs: tuple[RecordedRun, ...]
    """Every run that a check uses; those that were given or drawn before those that were found."""
    n_given: int
    """Runs that were given or drawn."""
    n_searched: int
    """Rows of the others."""
    row_axes: Mapping[str, int]
    """The axis of the batch of each input that has one."""
    row_names: frozenset[str]
    """The names of the dynamic size of the batch; empty if it is fixed."""
    precision: Literal["float64", "float32"]
    """The precision of the values that candidates are compared with."""
    moved_runs: int
    """How often each run was repeated with its operators perturbed by rounding; 0 for never."""
    looked_at: int
    """The run in which layers are looked for by their values."""
    seed: int
    """The seed of the inputs."""
    samples: int | None
    """Requested rows; None for the usual number."""
    ranges: Mapping[str, tuple[float, float]]
    """The requested ranges of inputs."""
    sizes: SizesTried = field(default_factory=SizesTried)
    """Sizes of dynamic axes."""
    domains: tuple[InputDomain, ...] = ()
    """What was drawn for each input."""
    not_coarser: Mapping[str, str] = field(default_factory=dict)
    """For the name of a narrower type: why there is no spread for it."""
    notes: tuple[Sentence, ...] = ()
    """What the user should know of the source and its runs."""
    doubts: tuple[Sentence, ...] = ()
    """Reasons why a comparison with it proves nothing."""
    source_file: RecordedFile | None = None
    """What it was read from; None if that is no file, and in records of older versions."""
    unnamed: frozenset[str] = frozenset()
    """Inputs and outputs without a name in the source; none in records of older versions."""
