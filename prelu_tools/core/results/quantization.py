"""What `quantize` returns: the layers in integers, the loss, and the gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prelu_tools.core.process.timing import Ratio
from prelu_tools.core.results.reasons import counted, warnings_of
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import VerifyResult

Selected = Literal["timing", "exactness", "loss", "only one"]
"""How a form was chosen: by timing; the most exact of those that fit; in floating point because of
what was lost; or because nothing else fits."""


@dataclass(frozen=True)
class QuantizedLayer:
    """One PReLU layer."""

    name: str
    """The layer's name."""
    shape: tuple[int, ...] | None
    """Shape of its input, as the model ran."""
    n_slopes: int
    """Number of its slopes."""
    form: str
    """How it is written: `int_max` or `int_split`, with `_conv` or `_tiled` for how it multiplies;
    `int_leaky`; or `float`."""
    selected: Selected
    """How the form was chosen."""
    slope_step: float | None
    """Distance between neighbours among the values that its slopes may have; None in floating
    point."""
    slope_error: float | None
    """The largest difference of a slope from the model's; None if it was not compared."""
    snr: float | None
    """Signal-to-noise ratio of its output on the held-out data, in dB; None if it was not seen."""
    snr_calibration: float | None
    """The same on the calibration data."""
    snr_plain: float | None
    """On the held-out data with plain `quantize_static`."""
    used: float
    """Share of its slopes whose negative branch the calibration data used."""
    unused: tuple[int, ...] = ()
    """The slopes whose negative branch it did not use, as indices into the flat slopes."""


@dataclass(frozen=True)
class QuantizedOutput:
    """One output of the model, compared with the floating-point model."""

    name: str
    """Its name."""
    snr: float | None
    """Signal-to-noise ratio on the held-out data, in dB; None if it is equal or not floating."""
    snr_calibration: float | None
    """The same on the calibration data."""
    snr_plain: float | None
    """On the held-out data with plain `quantize_static`."""
    top1: float | None = None
    """Share of held-out rows with the same largest value; None if it is not a row of classes."""
    top1_plain: float | None = None
    """The same with plain `quantize_static`."""

    @property
    def lost(self) -> float | None:
        """How much lower `snr` is than with plain `quantize_static`, in dB."""
        if self.snr is None or self.snr_plain is None:
            return None
        return self.snr_plain - self.snr


@dataclass(frozen=True)
class QuantizedTimes:
    """How long a run takes: medians of interleaved rounds, in seconds."""

    in_float: float
    """The floating-point model."""
    plain: float
    """Plain `quantize_static` of it."""
    in_int8: float
    """The new file."""
    of_plain: Ratio
    """`in_int8` relative to `plain`."""
    of_float: Ratio
    """`in_int8` relative to `in_float`."""
    threads: int
    """Threads that onnxruntime had."""
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """The inputs' names and shapes."""
    runtime: str = ""
    """The version of onnxruntime."""
    processor: str = ""
    """The machine's processor, as far as it is known."""
    in_fast_float: float | None = None
    """The floating-point model with PReLU in the forms that `optimize --no-tune` writes."""
    of_fast_float: Ratio | None = None
    """`in_int8` relative to `in_fast_float`."""


@dataclass(frozen=True)
class QuantizedMetric:
    """The user's own metric on the held-out data."""

    name: str
    """The function, as the user wrote it."""
    in_float: float
    """Its value for the floating-point model."""
    plain: float
    """Its value for plain `quantize_static`."""
    in_int8: float
    """Its value for the new file."""


@dataclass(frozen=True)
class QuantizeLimits:
    """What a pass requires of the outputs, besides right slopes, weights and kernels."""

    min_snr: float
    """The lowest signal-to-noise ratio of an output on the held-out data, in dB."""
    max_loss: float
    """How many dB lower than with plain `quantize_static` that of an output may be."""
    max_drop: float | None = None
    """How far the metric may be below its value in floating point; None for any."""


@dataclass(frozen=True, repr=False)
class QuantizeResult(Shown):
    """The result of `quantize`; true if it passed."""

    source: str
    """The model as the user wrote it."""
    path: str
    """The file."""
    n_bytes: int | None
    """Its size; None if it was not written."""
    verdict: Verdict | None
    """`pass`, `fail` or `inconclusive`; None if nothing was compared (`verify=False`)."""
    reasons: tuple[str, ...]
    """Why it is not a pass, in words."""
    layers: tuple[QuantizedLayer, ...]
    """The PReLU layers, in the order of the graph."""
    outputs: tuple[QuantizedOutput, ...]
    """The outputs of the model."""
    times: QuantizedTimes | None
    """How long it takes; None if it was not timed."""
    metric: QuantizedMetric | None
    """The user's own metric; None without one."""
    rows: tuple[int, int]
    """Rows of the data that ranges were calibrated on, and rows that were held out."""
    options: Mapping[str, str]
    """Options that were passed to onnxruntime's quantizer."""
    verification: VerifyResult | None
    """The file compared with the floating-point model, on the held-out data."""
    limits: QuantizeLimits | None = None
    """What a pass requires; None if nothing was compared."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took."""

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def _in_short(self) -> str:
        verdict = self.verdict or "not compared"
        layers = f"{self.n_integer:,} of {counted(len(self.layers), 'PReLU layer')} quantized"
        return f"{self.source} -> {self.path}: {verdict}, {layers}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that a pass proves less than it seems to."""
        checked = self.verification
        return warnings_of(self.notes, checked.warnings if checked is not None else ())

    @property
    def n_integer(self) -> int:
        """Layers that are written in integers."""
        return sum(layer.form != "float" for layer in self.layers)
