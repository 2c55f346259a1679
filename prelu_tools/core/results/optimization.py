"""What `optimize` returns, and how the forms were chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.errors import UsageError
from prelu_tools.core.process.timing import Latency, Ratio
from prelu_tools.core.results.reasons import counted, warnings_of
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.targets import ExportTarget

Chosen = Literal["cost model", "timing", "choices", "target", "exactness", "speed"]
"""`exactness`: the faster form changed a bit of an output; `speed`: no form was faster."""

_PLAIN: tuple[Literal["layer", "bitwise", "special"], ...] = ("layer", "bitwise", "special")


@dataclass(frozen=True)
class Exactness:
    """How close the forms have to be to a PRelu node."""

    kind: Literal["layer", "bitwise", "special", "approximate"] = "layer"
    """`layer`: the same result for every finite input of the layer, by ==; `bitwise`: equal outputs
    of the model too, tested on this machine; `special`: equal for infinities and NaN too;
    `approximate`: the layer may be off by `ulps`."""
    ulps: int = 0
    """Units in the last place that a layer may be off; 0 except for `approximate`."""

    @property
    def text(self) -> str:
        """As `--exact` has it."""
        return f"{self.kind}={self.ulps}" if self.kind == "approximate" else self.kind

    @classmethod
    def parse(cls, text: str) -> Exactness:
        """What `--exact` says: a kind, or `approximate=ULPS`.

        Raises:
            UsageError: it is none of these.
        """
        ulps = text.removeprefix("approximate=")
        if ulps != text and ulps.isdecimal() and int(ulps) > 0:
            return cls("approximate", int(ulps))
        for plain in _PLAIN:
            if text == plain:
                return cls(plain)
        raise UsageError(
            f"{text!r}: expected layer, bitwise, special or approximate=ULPS, as in approximate=4"
        )


@dataclass(frozen=True)
class LayerChoice:
    """One layer: its form before and after."""

    name: str
    """The layer's name."""
    shape: tuple[int, ...] | None
    """Shape of its input when it was timed; None if it was not run."""
    n_slopes: int
    """Number of its slopes."""
    before: str
    """Its form before."""
    form: str
    """Its form now."""
    chosen: Chosen
    """How the form was chosen."""
    gained: float | None
    """Seconds that the model saves with it instead of a PRelu node; None if not timed."""
    gain: Ratio | None
    """The time of the model with this layer's group in `form`, relative to the model with PRelu
    there."""
    group: int | None
    """Layers of the same group were timed together and share `gained`; None if not timed."""


@dataclass(frozen=True)
class EqualityReport:
    """How equal the new model was found to be, and on which machine."""

    layer: bool
    """Each layer in isolation gave the result of PRelu, by ==, for all finite inputs tested."""
    bitwise: bool
    """Every output of the model had the same bits, for all inputs tested."""
    special: bool
    """Infinities and NaN gave the result of PRelu, ignoring the sign of a zero."""
    max_ulps: int
    """The largest error of a layer in isolation, in units in the last place."""
    n_inputs: int
    """Rows of input that were tested."""
    processor: str
    """The machine's processor, as far as it is known."""
    runtime: str
    """The version of onnxruntime."""


@dataclass(frozen=True, repr=False)
class OptimizeResult(Shown):
    """The result of `optimize`."""

    source: str
    """The model as the user wrote it."""
    path: str
    """The file that was written."""
    n_bytes: int
    """Its size."""
    target: ExportTarget
    """The runtime that it was written for."""
    exact: Exactness
    """The requested exactness."""
    layers: tuple[LayerChoice, ...]
    """The layers, in the order of the graph."""
    held: EqualityReport
    """How equal the new model was found to be."""
    latency: Latency | None
    """Its time before and after; None if the original model does not run, or nothing was timed."""
    verification: VerifyResult
    """The new file compared with the one it was made from."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""

    def _in_short(self) -> str:
        gained = "" if self.latency is None else f", {self.latency.ratio.median:.2f} of the time"
        return (
            f"{self.source} -> {self.path}: {self.n_changed:,} of "
            f"{counted(len(self.layers), 'PReLU layer')} rewritten{gained}"
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that a pass proves less than it seems to."""
        return warnings_of(self.notes, self.verification.warnings)

    @property
    def n_changed(self) -> int:
        """Layers whose form changed."""
        return sum(layer.form != layer.before for layer in self.layers)
