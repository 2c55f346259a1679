"""What `verify` returns: frozen, complete, independent of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prelu_tools.core.domains import InputDomain, SizesTried
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.comparable import comparable
from prelu_tools.core.results.reasons import warnings_of
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.candidate import CandidateReport, Power
from prelu_tools.core.results.verification.parity import OutputParity, Verdict


@dataclass(frozen=True)
class Coverage:
    """The number of slopes whose negative branch the inputs reached."""

    exercised: int
    """Slopes that met a negative value at least once."""
    total: int
    """All slopes of the reference."""
    unreached: tuple[str, ...]
    """Slopes that met no negative value, as `layer[index]` into the flat slopes."""


@dataclass(frozen=True)
class Agreement:
    """Two execution providers compared on one candidate."""

    model: str
    """The candidate, as the user wrote it."""
    providers: tuple[str, str]
    """The two providers, as requested."""
    outputs: tuple[OutputParity, ...]
    """The outputs of the second provider, compared with those of the first."""
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
    """A verification compared with the figures of an earlier one."""

    path: str
    """The baseline file."""
    verdict: Verdict
    """`fail` if a figure is worse, `inconclusive` if the two cannot be compared."""
    factor: float
    """By which factor a figure may get worse; 1 or more."""
    n_compared: int
    """Figures that were compared."""
    worse: tuple[WorseFigure, ...] = ()
    """The figures that are worse than allowed."""
    unknown: tuple[str, ...] = ()
    """Parts that were measured but are not in the baseline."""
    lost: tuple[str, ...] = ()
    """Figures of the baseline that were not measured."""


@comparable
@dataclass(frozen=True, repr=False, eq=False)
class VerifyResult(Shown):
    """The result of `verify`; true only if everything passed."""

    verdict: Verdict
    """`fail` if any candidate failed, otherwise `inconclusive` if any could not be judged."""
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
    """Which slopes the inputs reached; None if the reference's layers cannot be observed."""
    candidates: tuple[CandidateReport, ...]
    """One for each candidate and provider."""
    reasons: tuple[str, ...]
    """Why the verdict is not a pass, in words."""
    agreements: tuple[Agreement, ...] = ()
    """Providers compared with each other, if several were requested."""
    n_searched: int = 0
    """Additional rows of input, from the search for unreached slopes."""
    n_runs: int = 0
    """Runs of each model: the rows in one batch, the first of them alone, and at other sizes; 0 if
    that is not known."""
    notes: tuple[str, ...] = ()
    """Notes on how the check was done."""
    baseline: BaselineReport | None = None
    """The comparison with an earlier run; None if it was not requested."""
    sizes: SizesTried = field(default_factory=SizesTried)
    """The sizes of dynamic axes at which the models were run."""
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
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that a pass proves less than it seems to."""
        return warnings_of(self.notes)

    @property
    def power(self) -> Power | None:
        """Over all candidates; None if none has any."""
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
        result: all that was found; None if there is no more than the message.
    """

    def __init__(self, message: str, result: VerifyResult | None = None) -> None:
        """Keep the result next to the sentence."""
        super().__init__(message)
        self.result = result


class ExportVerificationError(VerdictError):
    """The exported model differs from its source: a verdict (exit 1); nothing was written."""
