"""The outcome of quantizing a model: layers, outputs, times and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.running.racing import open_run, race, runtime_version
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.commands.optimize.equality import processor
from prelu_tools.commands.optimize.rewritable import rewritable_layers
from prelu_tools.commands.optimize.tuning import by_cost
from prelu_tools.commands.quantize.calibration import CalibrationData
from prelu_tools.commands.quantize.choosing import Forms
from prelu_tools.commands.quantize.losses import Losses
from prelu_tools.commands.quantize.quantizing import (
    FloatModel,
    call_name,
)
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.verify.quantized.judge import MIN_SNR
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.process.progress import ProgressCallback
from prelu_tools.core.process.timing import ratio_of
from prelu_tools.core.results.optimization import Exactness
from prelu_tools.core.results.quantization import (
    QuantizedLayer,
    QuantizedOutput,
    QuantizedTimes,
    QuantizeLimits,
    QuantizeResult,
)
from prelu_tools.core.results.reasons import Reason, listed
from prelu_tools.core.results.verification.parity import LayerParity, Verdict
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.lowering import lower
from prelu_tools.graph.quantized.forms import FLOAT

_FINAL_SECONDS, _FINAL_ROUNDS = 3.0, range(15, 400)


@dataclass
class Work:
    """What the steps share."""

    request: QuantizeRequest
    graph: OnnxGraph
    data: CalibrationData
    model: FloatModel
    plain: onnx.ModelProto
    progress: ProgressCallback
    kept: tuple[str, ...] = ()
    """Layers that stay in floating point."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """A quantized model on both parts of the data."""

    calibration: Losses
    held_out: Losses


def result_of(
    work: Work, forms: Forms, proto: onnx.ModelProto, ours: Measured, plain: Measured
) -> QuantizeResult:
    """The result before it is judged: what each layer became, what the outputs lost, the times."""
    request = work.request
    layers = tuple(
        _layer(work, item, forms, ours, plain) for item in range(len(work.model.located))
    )
    work.notes += [*work.data.notes, *forms.notes, *_notes(layers)]
    return QuantizeResult(
        source=request.source,
        path=str(request.output),
        n_bytes=None,
        verdict=None,
        reasons=(),
        layers=layers,
        outputs=tuple(
            QuantizedOutput(
                name,
                ours.held_out.outputs[name].decibels,
                ours.calibration.outputs[name].decibels,
                plain.held_out.outputs[name].decibels,
                ours.held_out.top1(name),
                plain.held_out.top1(name),
            )
            for name in ours.held_out.outputs
        ),
        times=_times(work, proto),
        metric=None,
        rows=work.data.rows,
        options=request.quantizer_options,
        verification=None,
    )


def _layer(work: Work, place: int, forms: Forms, ours: Measured, plain: Measured) -> QuantizedLayer:
    item = work.model.located[place]
    name = item.layer.name
    counts = work.model.coverage.counts(name)

    def decibels(losses: Losses) -> float | None:
        return losses.layers[name].decibels if name in losses.layers else None

    return QuantizedLayer(
        name=name,
        shape=work.model.shapes.get(item.matches[0].x),
        n_slopes=int(item.layer.slopes.size),
        form=forms.forms[call_name(name, 0)],
        selected=forms.selected[call_name(name, 0)],
        slope_step=None,
        slope_error=None,
        snr=decibels(ours.held_out),
        snr_calibration=decibels(ours.calibration),
        snr_plain=decibels(plain.held_out),
        used=float((counts > 0).mean()) if counts.size else 0.0,
        unused=tuple(int(i) for i in np.flatnonzero(counts == 0)),
    )


def _notes(layers: Sequence[QuantizedLayer]) -> list[str]:
    found: list[str] = []
    unused = [f"{layer.name}[{i}]" for layer in layers for i in layer.unused]
    if unused:
        found.append(Reason(
            f"the calibration data never used the negative branch of {listed(unused)}"
            ": how well these slopes are quantized is not known",
            "slopes_unused",
        ))  # fmt: skip
    in_float = [x.name for x in layers if x.form == FLOAT and x.selected == "only one"]
    if in_float:
        found.append(Reason(
            "left in floating point, because their inputs or outputs are not quantized: "
            f"{listed(in_float)}",
            "layers_in_float",
        ))  # fmt: skip
    return found


def _times(work: Work, proto: onnx.ModelProto) -> QuantizedTimes:
    work.progress("timing")
    feeds, threads = work.data.calibration[0], work.request.threads
    models = {
        "float": work.model.proto,
        "fast": _fastest_float(work),
        "plain": work.plain,
        "int8": proto,
    }
    runs = {
        name: open_run(OnnxModel(model, None), threads, f"{work.request.source} ({name})")
        for name, model in models.items()
    }
    times = race(runs, feeds, _FINAL_SECONDS, _FINAL_ROUNDS, DEFAULT_SEED, threads).seconds
    middle = {name: float(np.median(seconds)) for name, seconds in times.items()}
    return QuantizedTimes(
        in_float=middle["float"],
        plain=middle["plain"],
        in_int8=middle["int8"],
        of_plain=ratio_of(times["int8"], times["plain"]),
        of_float=ratio_of(times["int8"], times["float"]),
        in_fast_float=middle["fast"],
        of_fast_float=ratio_of(times["int8"], times["fast"]),
        threads=threads,
        shapes=tuple((name, values.shape) for name, values in feeds.items()),
        runtime=runtime_version(),
        processor=processor(),
    )


def _fastest_float(work: Work) -> onnx.ModelProto:
    """The floating-point model with each PReLU in the form that `optimize --no-tune` writes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(work.model.proto)
    model, feeds = OnnxModel(copy, None), work.data.calibration[0]
    layers = rewritable_layers(model, feeds, Exactness(), runtime_version())
    lower(model, by_cost(layers).forms)
    return model.proto


def judged(
    request: QuantizeRequest, result: QuantizeResult, verification: VerifyResult
) -> QuantizeResult:
    """The result with its verdict: what `verify` said, and the limits of the request."""
    reasons: list[str] = list(verification.reasons)
    verdicts: list[Verdict] = [verification.verdict]
    for output in result.outputs:
        lost = output.lost
        if lost is not None and lost > request.max_loss:
            verdicts.append("fail")
            reasons.append(Reason(
                f"output {output.name!r} has {output.snr:.1f} dB on the held-out data, "
                f"{lost:.1f} dB less than with plain quantize_static, and --max-loss is "
                f"{request.max_loss:g}: --keep-float N leaves layers in floating point",
                "int8_loss",
            ))  # fmt: skip
    metric = result.metric
    dropped = 0.0 if metric is None else metric.in_float - metric.in_int8
    if metric is not None and request.max_drop is not None and dropped > request.max_drop:
        verdicts.append("fail")
        reasons.append(Reason(
            f"{metric.name} is {metric.in_int8:.6g}, and {metric.in_float:.6g} in floating point; "
            f"--max-drop is {request.max_drop:g}",
            "metric_dropped",
        ))  # fmt: skip
    found: Sequence[LayerParity] = verification.candidates[0].layers
    parities = {layer.name: layer for layer in found}
    layers = tuple(
        replace(layer, slope_step=parities[layer.name].slope_step,
                slope_error=parities[layer.name].slope_error)
        if layer.name in parities else layer
        for layer in result.layers
    )  # fmt: skip
    verdict = next(v for v in ("fail", "inconclusive", "pass") if v in verdicts)
    return replace(
        result, layers=layers, verdict=verdict, reasons=tuple(reasons), verification=verification,
        limits=QuantizeLimits(MIN_SNR, request.max_loss, request.max_drop),
    )  # fmt: skip
