"""Comparisons of a model's parts: outputs, layers, special values, names and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.results.comparable import comparable

Verdict = Literal["pass", "fail", "inconclusive"]
Found = Literal["pattern", "rounded", "values", "nowhere", "additional"]


@comparable
@dataclass(frozen=True, eq=False)
class Deviation:
    """How much two sets of values differ where both are finite, over all runs."""

    max_abs: float
    """Largest absolute difference; NaN if nothing finite could be compared."""
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
    """Largest absolute difference; 0.0 or more, NaN if nothing finite could be compared."""
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
    """A remark that does not make it fail: such as the rows with values on borders."""
    doubt: str | None = None
    """Why it proves nothing although nothing differs: it was the same for all inputs. Otherwise
    None."""

    @property
    def proves(self) -> Verdict:
        """What it proves: the verdict, but nothing where a pass is in doubt."""
        return "inconclusive" if self.doubt and self.verdict == "pass" else self.verdict


@dataclass(frozen=True)
class LayerParity:
    """One PReLU layer compared with the reference's: its slopes, in isolation, and end-to-end."""

    name: str
    """The reference's name for the layer (the candidate's, if the reference has none)."""
    slopes_equal: bool
    """Whether the slopes are equal bit for bit, after undoing the sign and layout in which the
    candidate stores them; of slopes stored as integer codes, within half a quantization step."""
    difference: str | None
    """What differs, in words: "channels 3 and 7 swapped"; None if nothing does."""
    max_abs_diff: float | None
    """Largest difference of the layer's output from the reference's; None if it was not observed.
    """
    max_ulp_diff: int | None
    """The layer in isolation: the largest difference of its output from PReLU of its own input with
    the reference's slopes, in units in the last place; None if it was not observed."""
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
    """Slopes that negative values reached as well, in a layer that computes correctly."""
    least_positions: int | None = None
    """The smallest number of positions at which one of its slopes met a negative value."""
    provider: str | None = None
    """The execution provider that ran the layer's node; None if it is not known."""
    parameter: str | None = None
    """The name of its slope tensor in the reference."""
    node: str | None = None
    """Its first node in the candidate, or its first call there."""
    note: str | None = None
    """What is unusual about a layer that does not differ, in words; None if nothing is."""
    found: Found = "pattern"
    """How it was found in the candidate: by its pattern or by its values; `nowhere` if it was not;
    `rounded` if its form and its slopes are equal up to rounding; `additional` if the reference
    has no such layer."""
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
    """What differs: `input_type`, `input_axes`, `input_size_fixed`, `output_missing`, ..."""
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
        if self.code.endswith("axes"):
            return f"{what} has the reference's axes permuted as {self.found}"
        if self.code.endswith("fixed"):
            return f"{what} is fixed to {self.found}; the reference accepts any size"
        return f"{what} is {self.found} ({self.expected} in the reference)"
