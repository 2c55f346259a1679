"""What verify returns: frozen, complete, and free of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prelu_tools.core.domains import InputDomain, SizesTried
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.showing import Shown

Verdict = Literal["pass", "fail", "inconclusive"]
Found = Literal["pattern", "values", "nowhere", "additional"]


@comparable
@dataclass(frozen=True, eq=False)
class Deviation:
    """How far two sets of values are apart, where both are finite; over all runs."""

    max_abs: float
    """Largest absolute difference; NaN where nothing finite could be compared."""
    max_rel: float
    """Largest difference relative to the reference's value."""
    max_ulp: int
    """Largest difference in units in the last place of the larger of both values."""
    mean_abs: float
    """Mean absolute difference; NaN as above."""
    p999_abs: float
    """99.9th percentile of the absolute differences; of several runs the largest."""
    cosine: float | None
    """Cosine of the angle between both, as vectors; None where one of them is all zero."""
    snr_db: float | None
    """10 log10(sum reference^2 / sum difference^2); None where they are equal or all zero."""


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
    """Elements beyond the tolerance; all of them where the shapes differ."""
    n_nonfinite_mismatch: int
    """Elements that are NaN or infinite on one side and not the same on the other."""
    verdict: Verdict
    """`inconclusive` where only NaN at the same places on both sides is wrong."""
    deviation: Deviation | None = None
    """More figures; None where the shapes differ."""
    top1_agreement: float | None = None
    """Share of rows whose largest class is the same; None where the rows are no probabilities."""
    limit: float | None = None
    """What an absolute difference may be at most: of a value of 0, or, where each value has a limit
    of its own, of the value that comes nearest to it or is farthest beyond."""
    of_rounding: float | None = None
    """`max_abs_diff` as a multiple of the reference's own float32 rounding; None if unknown."""
    difference: str | None = None
    """What is wrong, in words; None where nothing is."""
    worst_of_rounding: float | None = None
    """The largest difference of a value as a multiple of its own rounding, as the moved runs of the
    reference show it; None where there were none."""
    n_values: int = 0
    """Values that were compared, over all runs."""
    n_border: int = 0
    """Values that differ and may: they sit on a border (of a comparison, a rounding, an index) that
    the reference crosses itself when its operators are moved by rounding."""
    remark: str | None = None
    """What does not fail it and should be known: which rows those are in."""


@dataclass(frozen=True)
class LayerParity:
    """One PReLU layer: its slopes, itself, and what it hands on, against the reference's."""

    name: str
    """The reference's name of the layer (the candidate's, where the reference has none)."""
    slopes_equal: bool
    """Bit for bit, after sign and layout."""
    difference: str | None
    """In words, what differs: "channels 3 and 7 exchanged"; None where nothing does."""
    max_abs_diff: float | None
    """Largest difference of the layer's output from the reference's; None where not tapped."""
    max_ulp_diff: int | None
    """The layer by itself: its own output against the reference's slopes on its own input, in units
    in the last place; None where it was not tapped."""
    coverage: float | None
    """Share of its slopes whose negative branch the inputs reached; None where unknown."""
    verdict: Verdict
    """`fail` where anything of it differs."""
    deviation: Deviation | None = None
    """More figures of its output against the reference's."""
    limit: float | None = None
    """What an absolute difference of its output may be at most, for a value of 0."""
    n_slopes: int = 0
    """Slopes of the layer."""
    n_by_value: int = 0
    """Slopes proven by value: equal bit for bit."""
    n_by_behaviour: int = 0
    """Of these, slopes proven by behaviour too: reached by the inputs, and the layer right."""
    least_positions: int | None = None
    """Of all its slopes, the smallest number of positions at which one met a negative input."""
    provider: str | None = None
    """The execution provider that ran the layer's node; None where it is not known."""
    parameter: str | None = None
    """Where it is in the reference: the slope tensor's name there."""
    node: str | None = None
    """Where it is in the candidate: its first node, or its first call."""
    note: str | None = None
    """What is unusual although nothing differs, in words; None where nothing is."""
    found: Found = "pattern"
    """How it was found in the candidate: by the pattern that writes it, or by its values; or not,
    or `additional` where the reference has no such layer."""


@dataclass(frozen=True)
class SpecialValue:
    """A special value that a layer of the candidate treats otherwise than the reference's."""

    layer: str
    """The reference's name of the layer."""
    form: str
    """How the candidate spells it."""
    slope: float
    """The slope that it met."""
    value: float
    """The input."""
    expected: float
    """What the reference makes of it."""
    found: float
    """What the candidate makes of it."""
    documented: str | None
    """Why that is to be expected, and where; None makes it a failure."""


@comparable
@dataclass(frozen=True, eq=False)
class InterfaceDifference:
    """What a program that runs the model would see of a candidate that is not the reference's."""

    part: Literal["input", "output"]
    """Where it is."""
    name: str
    """The reference's name of it; with `[axis]` where it is a size."""
    code: str
    """What differs: `input_type`, `input_size_fixed`, `output_missing`, ..."""
    expected: str
    """What the reference has."""
    found: str
    """What the candidate has."""
    fails: bool = False
    """Whether the models differ by it; all others fail with `--strict-interface` only."""

    @property
    def words(self) -> str:
        """It in a sentence."""
        what = f"{self.part} {self.name}"
        if self.code.endswith("missing"):
            return f"{what} of the reference is missing"
        if self.code.endswith("additional"):
            return f"{what}: the reference has no such output"
        if self.code.endswith("renamed"):
            return f"{what} is called {self.found}"
        if self.code.endswith("fixed"):
            return f"{what} is fixed to {self.found}, where the reference takes any size"
        return f"{what} is {self.found}, where {self.expected} was expected"


@comparable
@dataclass(frozen=True, eq=False)
class ProviderReport:
    """What was asked of onnxruntime and what it did."""

    requested: str
    """The name that the user gave."""
    actual: tuple[str, ...]
    """The execution providers that ran at least one node, most nodes first."""
    nodes_elsewhere: tuple[str, ...]
    """Nodes that ran on another provider than the one asked for."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options that it was given; TF32 is off unless they say otherwise."""


@dataclass(frozen=True)
class Tolerance:
    """What a difference from the reference may be.

    With the origin "sensitivity", each value has a limit of its own: `multiple` times what rounding
    does to it in the moved runs of the reference, plus `ulps` units in its last place. Else, with
    `multiple`, at most that many times the reference's own float32 error (its float32 run
    against its float64 run), plus `ulps` units in the last place of the largest value; scaled up
    for a candidate of a narrower type. Else |difference| <= rtol * |reference| + atol, where
    `atol` is relative to the largest value if `scaled`.
    """

    rtol: float
    """Relative to each value."""
    atol: float
    """Relative to the largest absolute value of the output, or absolute where `scaled` is False."""
    scaled: bool
    """Whether `atol` is relative to the scale of the output."""
    origin: str
    """Where it comes from: "sensitivity", "calibrated", "default for float32", "given"."""
    multiple: float | None = None
    """Of the reference's own rounding; None where that is not what is used."""
    ulps: float | None = None
    """Of the output's scale, with "sensitivity" of each value; None as above."""


@dataclass(frozen=True)
class Power:
    """What the numeric checks catch: slope faults that were planted in a copy of the candidate."""

    planted: int
    """Faults that change a slope which the inputs reach."""
    detected: int
    """Of these, caught by a layer or by an output."""
    by_layers: int
    """Caught at the layer itself."""
    by_outputs: int
    """Caught at an output of the model."""
    escaped: tuple[str, ...]
    """The others, in words."""
    unreached: int
    """Faults that were planted in slopes which no input reaches; nothing numeric can see them."""
    sampled: bool
    """Whether only some of the possible faults were planted, all layers reached."""
    hidden: int = 0
    """Faults in slopes that are reached, which change no layer by more than rounding does on these
    inputs; nobody need notice them, and they are not among the others."""


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
    special: tuple[SpecialValue, ...] = ()
    """Special values that are treated otherwise; those not documented fail."""
    power: Power | None = None
    """None where it was not asked for, and for candidates that are not ONNX."""
    interface: tuple[InterfaceDifference, ...] = ()
    """Names, types and sizes of inputs and outputs that are not the reference's."""
    seconds: float = field(default=0.0, compare=False)
    """How long it was checked; 0 where that is not known."""


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
class Agreement:
    """Two execution providers on one candidate."""

    model: str
    """The candidate, as the user spelled it."""
    providers: tuple[str, str]
    """The two, as they were asked for."""
    outputs: tuple[OutputParity, ...]
    """The second against the first."""
    verdict: Verdict
    """The worst of the outputs."""


@dataclass(frozen=True)
class WorseFigure:
    """A figure that is worse than it was, by more than it may be."""

    part: str
    """What it is of: `net.onnx[cpu] output y`, `net.onnx[cpu] layer act`, `net.onnx[cpu]`."""
    figure: str
    """Its name: `max_abs_diff`, `coverage`."""
    before: float
    """What the baseline has."""
    now: float
    """What was measured."""
    allowed: float
    """The worst that would have passed."""


@dataclass(frozen=True)
class BaselineReport:
    """A verification compared with what an earlier one measured."""

    path: str
    """The file of the baseline."""
    verdict: Verdict
    """`fail` where a figure is worse, else `inconclusive` where the two cannot be compared."""
    factor: float
    """How many times as bad a figure may be; 1 or more."""
    n_compared: int
    """Figures that both have."""
    worse: tuple[WorseFigure, ...] = ()
    """Those that fail."""
    unknown: tuple[str, ...] = ()
    """Parts that were measured and that the baseline does not have."""
    lost: tuple[str, ...] = ()
    """Figures of the baseline that were not measured."""


@comparable
@dataclass(frozen=True, repr=False, eq=False)
class VerifyResult(Shown):
    """What `verify` found; true only if everything passed."""

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
    agreements: tuple[Agreement, ...] = ()
    """Providers against each other, where several were asked for."""
    n_searched: int = 0
    """Rows of input beside these that a search for unreached slopes found."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was done."""
    baseline: BaselineReport | None = None
    """How it stands against an earlier one; None where that was not asked for."""
    sizes: SizesTried = field(default_factory=SizesTried)
    """The sizes of free axes that it was run at."""
    inputs: tuple[InputDomain, ...] = ()
    """The values that were drawn for each input; empty where all were replayed."""
    quick: bool = False
    """Whether only the checks that cost little were made."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took, from the run of the reference on; 0 where that is not known."""

    def __bool__(self) -> bool:
        """Whether it is a pass: what failed, or could not be judged, is false."""
        return self.verdict == "pass"

    def raise_for_verdict(self) -> VerifyResult:
        """This result, where it is a pass.

        Raises:
            VerdictError: it is none; the message has the reasons, and `result` is this.
        """
        if self.verdict == "pass":
            return self
        raise VerdictError(self._in_short(), self)

    def _in_short(self) -> str:
        models = ", ".join(dict.fromkeys(report.model for report in self.candidates))
        reasons = "".join(f"; {reason}" for reason in self.reasons)
        return f"{self.verdict}: {models} against {self.reference}{reasons}"

    @property
    def power(self) -> Power | None:
        """Over all candidates; None where none has any."""
        found = [report.power for report in self.candidates if report.power is not None]
        if not found:
            return None
        return Power(
            planted=sum(power.planted for power in found),
            detected=sum(power.detected for power in found),
            by_layers=sum(power.by_layers for power in found),
            by_outputs=sum(power.by_outputs for power in found),
            escaped=tuple(name for power in found for name in power.escaped),
            unreached=sum(power.unreached for power in found),
            sampled=any(power.sampled for power in found),
            hidden=sum(power.hidden for power in found),
        )


class VerdictError(PReLUToolsError):
    """A model did not pass its check; raised where a program asks for that.

    Args:
        message: what was found.
        result: all that was found; None where there is no more than the message.
    """

    def __init__(self, message: str, result: VerifyResult | None = None) -> None:
        """Keep the result beside the sentence."""
        super().__init__(message)
        self.result = result


class ExportVerificationError(VerdictError):
    """The exported model differs from its source: a verdict (exit 1); nothing was written."""
