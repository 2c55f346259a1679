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
Found = Literal["pattern", "rounded", "values", "nowhere", "additional"]


@comparable
@dataclass(frozen=True, eq=False)
class Deviation:
    """How much two sets of values differ where both are finite, over all runs."""

    max_abs: float
    """Largest absolute difference; NaN where nothing finite could be compared."""
    max_rel: float
    """Largest difference relative to the reference's value."""
    max_ulp: int
    """Largest difference in units in the last place of the larger of both values."""
    mean_abs: float
    """Mean absolute difference; NaN as above."""
    p999_abs: float
    """99.9th percentile of the absolute differences; with several runs, the largest."""
    cosine: float | None
    """Cosine of the angle between both, as vectors; None if one of them is all zero."""
    snr_db: float | None
    """10 log10(sum reference^2 / sum difference^2); None if they are equal or all zero."""


@dataclass(frozen=True)
class OutputParity:
    """One output of the candidate, compared with the reference's over all inputs."""

    name: str
    """The candidate's name for it."""
    shape: tuple[int, ...]
    """Its shape in the first run, in the reference's layout."""
    max_abs_diff: float
    """Largest absolute difference; 0.0 or more, NaN where nothing finite could be compared."""
    max_rel_diff: float
    """Largest difference relative to the reference's value."""
    n_mismatched: int
    """Elements beyond the tolerance; all of them if the shapes differ."""
    n_nonfinite_mismatch: int
    """Elements that are NaN or infinite on one side and differ on the other."""
    verdict: Verdict
    """`inconclusive` if the only problem is NaN at the same places on both sides."""
    deviation: Deviation | None = None
    """More figures; None if the shapes differ."""
    top1_agreement: float | None = None
    """Share of rows with the same top class; None if the rows are not probabilities."""
    limit: float | None = None
    """The largest permitted absolute difference: for a value of 0, or, if each value has its own
    limit, for the value that is nearest to its limit or farthest beyond it."""
    of_rounding: float | None = None
    """`max_abs_diff` as a multiple of the reference's own float32 rounding; None if unknown."""
    difference: str | None = None
    """What is wrong, in words; None if nothing is."""
    worst_of_rounding: float | None = None
    """The largest difference of a value as a multiple of its own rounding, as the perturbed runs of
    the reference show it; None if there were none."""
    n_values: int = 0
    """Values that were compared, over all runs."""
    n_border: int = 0
    """Values that differ and are allowed to: they are on a border (of a comparison, a rounding, an
    index) that the reference itself crosses when its operators are perturbed by rounding."""
    remark: str | None = None
    """A remark that does not fail it: which rows the values on borders are in."""


@dataclass(frozen=True)
class LayerParity:
    """One PReLU layer compared with the reference's: its slopes, in isolation, and end-to-end."""

    name: str
    """The reference's name for the layer (the candidate's, if the reference has none)."""
    slopes_equal: bool
    """Whether the slopes are equal bit for bit, after accounting for sign and layout; those stored
    as integer codes, within half the step of these."""
    difference: str | None
    """What differs, in words: "channels 3 and 7 exchanged"; None if nothing does."""
    max_abs_diff: float | None
    """Largest difference of the layer's output from the reference's; None if it was not observed.
    """
    max_ulp_diff: int | None
    """The layer in isolation: its output compared with the reference's slopes on its own input, in
    units in the last place; None if it was not observed."""
    coverage: float | None
    """Share of its slopes whose negative branch the inputs reached; None if unknown."""
    verdict: Verdict
    """`fail` if any part of it differs."""
    deviation: Deviation | None = None
    """More figures of its output compared with the reference's."""
    limit: float | None = None
    """The largest permitted absolute difference of its output, for a value of 0."""
    n_slopes: int = 0
    """Slopes of the layer."""
    n_by_value: int = 0
    """Slopes proven by value: equal bit for bit."""
    n_by_behaviour: int = 0
    """Of these, slopes proven by behaviour too: the inputs reached them, and the layer is right."""
    least_positions: int | None = None
    """The smallest number of positions at which one of its slopes met a negative input."""
    provider: str | None = None
    """The execution provider that ran the layer's node; None if it is not known."""
    parameter: str | None = None
    """Where it is in the reference: the slope tensor's name there."""
    node: str | None = None
    """Where it is in the candidate: its first node, or its first call."""
    note: str | None = None
    """What is unusual although nothing differs, in words; None if nothing is."""
    found: Found = "pattern"
    """How it was found in the candidate: by its pattern, or by its values; or not at all; `rounded`
    by a pattern that equals PReLU up to rounding, and whose slopes are equal up to that; or
    `additional` if the reference has no such layer."""
    slope_step: float | None = None
    """The distance between neighbours among the values that its slopes may have, if the candidate
    stores them as integer codes; None if it stores them in floating point."""
    slope_error: float | None = None
    """The largest difference of such a slope from the reference's; None as above."""


@dataclass(frozen=True)
class SpecialValue:
    """A special value for which a layer of the candidate differs from the reference's."""

    layer: str
    """The reference's name for the layer."""
    form: str
    """The form in which the candidate writes it."""
    slope: float
    """The slope that was applied."""
    value: float
    """The input."""
    expected: float
    """The reference's result."""
    found: float
    """The candidate's result."""
    documented: str | None
    """Why this difference is expected, and the source; None makes it a failure."""


@comparable
@dataclass(frozen=True, eq=False)
class InterfaceDifference:
    """A difference from the reference that a program which runs the model would notice."""

    part: Literal["input", "output"]
    """Where it is."""
    name: str
    """The reference's name for it; with `[axis]` for a size."""
    code: str
    """What differs: `input_type`, `input_size_fixed`, `output_missing`, ..."""
    expected: str
    """What the reference has."""
    found: str
    """What the candidate has."""
    fails: bool = False
    """Whether it makes the models differ; all others fail only with `--strict-interface`."""

    @property
    def words(self) -> str:
        """The difference in a sentence."""
        what = f"{self.part} {self.name!r}"
        if self.code.endswith("missing"):
            return f"{what} of the reference is missing"
        if self.code.endswith("additional"):
            return f"{what}: the reference has no such output"
        if self.code.endswith("renamed"):
            return f"{self.part} {self.found!r} is called {self.name!r} in the reference"
        if self.code.endswith("fixed"):
            return f"{what} is fixed to {self.found}; the reference accepts any size"
        return f"{what} is {self.found}, expected {self.expected}"


@comparable
@dataclass(frozen=True, eq=False)
class ProviderReport:
    """What onnxruntime or another runtime was asked for, and what it did."""

    requested: str
    """The name that the user gave."""
    actual: tuple[str, ...]
    """The execution providers that ran at least one node, most nodes first."""
    nodes_elsewhere: tuple[str, ...]
    """Nodes that ran on another provider than requested."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options that were passed to it; TF32 is off unless they say otherwise."""
    is_runtime: bool = False
    """Whether it is a runtime of its own, and not an execution provider of onnxruntime."""


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
    """Of these, caught by a layer or by an output."""
    by_layers: int
    """Caught at the layer itself."""
    by_outputs: int
    """Caught at an output of the model."""
    escaped: tuple[str, ...]
    """The others, in words."""
    unreached: int
    """Faults planted in slopes that no input reaches; no numeric check can see them."""
    sampled: bool
    """Whether only some of the possible faults were planted, all layers reached."""
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
    """None for a candidate that onnxruntime does not run."""
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
    """Special values for which they differ; those not documented fail."""
    power: Power | None = None
    """None if it was not requested, and for candidates that are not ONNX."""
    interface: tuple[InterfaceDifference, ...] = ()
    """Names, types and sizes of inputs and outputs that differ from the reference's."""
    seconds: float = field(default=0.0, compare=False)
    """How long the check took; 0 if that is not known."""


@dataclass(frozen=True)
class Coverage:
    """For how many of all slopes the inputs reached the negative branch."""

    exercised: int
    """Slopes that met a negative input at least once."""
    total: int
    """All slopes of the reference."""
    unreached: tuple[str, ...]
    """The others, as `layer[index]` into the flat slopes."""


@dataclass(frozen=True)
class Agreement:
    """Two execution providers compared on one candidate."""

    model: str
    """The candidate, as the user wrote it."""
    providers: tuple[str, str]
    """The two providers, as requested."""
    outputs: tuple[OutputParity, ...]
    """The second compared with the first."""
    verdict: Verdict
    """The worst of the outputs."""


@dataclass(frozen=True)
class WorseFigure:
    """A figure that got worse than the baseline allows."""

    part: str
    """What it belongs to: `net.onnx[cpu] output y`, `net.onnx[cpu] layer act`, `net.onnx[cpu]`."""
    figure: str
    """Its name: `max_abs_diff`, `coverage`."""
    before: float
    """The value in the baseline."""
    now: float
    """The value that was measured."""
    allowed: float
    """The worst value that would have passed."""


@dataclass(frozen=True)
class BaselineReport:
    """A verification compared with what an earlier one measured."""

    path: str
    """The baseline file."""
    verdict: Verdict
    """`fail` if a figure is worse, `inconclusive` if the two cannot be compared."""
    factor: float
    """By which factor a figure may get worse; 1 or more."""
    n_compared: int
    """Figures that both have."""
    worse: tuple[WorseFigure, ...] = ()
    """Those that fail."""
    unknown: tuple[str, ...] = ()
    """Parts that were measured but are not in the baseline."""
    lost: tuple[str, ...] = ()
    """Figures of the baseline that were not measured."""


@comparable
@dataclass(frozen=True, repr=False, eq=False)
class VerifyResult(Shown):
    """The result of `verify`; true only if everything passed."""

    verdict: Verdict
    """`fail` if any candidate failed, else `inconclusive` if any could not be judged."""
    reference: str
    """The reference as the user wrote it."""
    reference_precision: Literal["float64", "float32"]
    """The precision of the reference outputs."""
    versions: Mapping[str, str]
    """Packages that took part."""
    seed: int
    """Random seed of the inputs."""
    samples: int
    """Rows of input that were drawn or replayed."""
    coverage: Coverage | None
    """None if the inputs of the reference's layers cannot be observed."""
    candidates: tuple[CandidateReport, ...]
    """One for each candidate and provider."""
    reasons: tuple[str, ...]
    """Why the verdict is not a pass, in words."""
    agreements: tuple[Agreement, ...] = ()
    """Providers compared with each other, if several were requested."""
    n_searched: int = 0
    """Additional rows of input, from the search for unreached slopes."""
    notes: tuple[str, ...] = ()
    """What the user should know about how the check was done."""
    baseline: BaselineReport | None = None
    """The comparison with an earlier run; None if it was not requested."""
    sizes: SizesTried = field(default_factory=SizesTried)
    """The sizes of free axes at which the models were run."""
    inputs: tuple[InputDomain, ...] = ()
    """The domain of each random input; empty if all inputs were replayed."""
    quick: bool = False
    """Whether only the cheap checks were run."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took, from the run of the reference on; 0 if that is not known."""

    def __bool__(self) -> bool:
        """Whether it is a pass: a failure or an inconclusive result is false."""
        return self.verdict == "pass"

    def raise_for_verdict(self) -> VerifyResult:
        """Return this result if it is a pass.

        Raises:
            VerdictError: it is not a pass; the message has the reasons, and `result` is this.
        """
        if self.verdict == "pass":
            return self
        raise VerdictError(self._in_short(), self)

    def _in_short(self) -> str:
        models = ", ".join(dict.fromkeys(report.model for report in self.candidates))
        reasons = "".join(f"; {reason}" for reason in self.reasons)
        return f"{self.verdict}: {models} compared with {self.reference}{reasons}"

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
    """A model did not pass its check; raised when a program asks for that.

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
