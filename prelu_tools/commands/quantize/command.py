"""Quantize a model with PReLU to 8-bit integers, and prove what is left of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from prelu_tools.backends.interface import OnnxGraph, Source
from prelu_tools.backends.onnxruntime.quantizing import quantizer_options
from prelu_tools.backends.onnxruntime.racing import open_run, race, runtime_version
from prelu_tools.backends.onnxruntime.session import Session
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.registry import open_source, runs_in_onnxruntime
from prelu_tools.commands.optimize.equality import processor
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.quantize.calibration import CalibrationData, read_calibration
from prelu_tools.commands.quantize.choosing import FormBench, Forms, choose
from prelu_tools.commands.quantize.losses import Losses, Watched, losses_of
from prelu_tools.commands.quantize.metric import load_metric, measured
from prelu_tools.commands.quantize.quantizing import (
    FloatModel,
    Prepared,
    Quantizer,
    call_name,
    demand_opset,
    fixed_sizes,
    float_model,
    look,
)
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.verify.candidate import is_quantized
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.inputs.feeds import Feeds, save_feeds
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.results.quantization import (
    QuantizedLayer,
    QuantizedMetric,
    QuantizedOutput,
    QuantizedTimes,
    QuantizeResult,
)
from prelu_tools.core.results.reasons import Reason, as_reason
from prelu_tools.core.results.verification import LayerParity, Verdict, VerifyResult
from prelu_tools.core.timing import ratio_of
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.writer import refuse_existing, write_model
from prelu_tools.graph.quantized.forms import FLOAT

_FINAL_SECONDS, _FINAL_ROUNDS = 3.0, range(15, 400)
ProgressCallback = Callable[[str], None]


def _silence(_stage: str) -> None:
    pass


@dataclass
class _Work:
    """What the steps share."""

    request: QuantizeRequest
    graph: OnnxGraph
    data: CalibrationData
    model: FloatModel
    plain: onnx.ModelProto
    tell: ProgressCallback
    kept: tuple[str, ...] = ()
    """Layers that stay in floating point."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Measured:
    """A quantized model on both parts of the data."""

    calibration: Losses
    held_out: Losses


def quantize(
    request: QuantizeRequest, tell: ProgressCallback = _silence, opened: Source | None = None
) -> QuantizeResult:
    """Quantize a model.

    A file that fails is part of the result, and is not written.

    Args:
        request: what to quantize, and how.
        tell: is told what is being done.
        opened: the source, where it is open already; None to open it.

    Raises:
        UsageError: the output exists, or the source is not an ONNX file in floating point.
        PReLUToolsError: the source or the data cannot be read, or do not fit; the source has no
            PReLU; or onnxruntime cannot quantize it.
    """
    start = time.perf_counter()
    refuse_existing(request.output, request.force)
    check_request(request, *([request.source] if opened is None else []))
    metric = None if request.metric is None else load_metric(request.metric)
    options = quantizer_options(request.quantizer_options)
    tell("reading")
    graph = _opened(request, opened)
    needs = metric is not None
    data = read_calibration(request.calibration, graph.inputs(), needs)
    model = _float_model(graph, request)
    tell("running the model on the calibration data")
    look(model, data.calibration, request.source)
    fixed_sizes(model, [spec.shape for spec in graph.inputs()])
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        quantizer = Quantizer(model, data.calibration, options, Path(folder))
        tell("quantizing")
        work = _Work(request, graph, data, model, quantizer.plain(), tell)
        forms, proto, ours, plain = _within_loss(work, quantizer)
        result = _result(work, forms, proto, ours, plain)
        if metric is not None and request.metric is not None:
            protos = (model.proto, work.plain, proto)
            results = [_results(p, data.held_out, request.source) for p in protos]
            found = [
                measured(metric, request.metric, each, data.held_out, data.extra)
                for each in results
            ]
            result = replace(result, metric=QuantizedMetric(request.metric, *found))
        result = _place(work, proto, result, Path(folder))
    return replace(result, seconds=time.perf_counter() - start)


def _opened(request: QuantizeRequest, opened: Source | None) -> OnnxGraph:
    if opened is None and not runs_in_onnxruntime(request.source):
        raise _no_graph(request.source)
    if request.output.exists() and _is_same_file(request.source, request.output):
        raise UsageError(f"{request.output} is the model itself: expected another name for -o")
    source = open_source(request.source, request.options) if opened is None else opened
    graph = source.graph
    if graph is None:
        raise _no_graph(request.source)
    refuse_ignored_options([source], request)
    demand_opset(graph.model, request.source)
    if is_quantized(graph):
        raise UsageError(
            f"{request.source} is quantized already: expected the model in floating point"
        )
    return graph


def _is_same_file(source: str, output: Path) -> bool:
    with suppress(OSError):
        return output.samefile(source)
    return False


def _no_graph(source: str) -> UsageError:
    return UsageError(
        f"{source} is not an ONNX file: export it first (prelu-tools export {source} -o model.onnx)"
    )


def _float_model(graph: OnnxGraph, request: QuantizeRequest) -> FloatModel:
    model = float_model(graph.model)
    if not model.located:
        inside = [item.layer.name for item in graph.located]
        where = (
            f"every PReLU of {request.source} is in the body of an If, Loop or Scan, and bodies "
            f"are left as they are ({', '.join(inside)})"
            if inside
            else f"found no PReLU in {request.source}"
        )
        raise PReLUToolsError(f"{where}: use onnxruntime's quantize_static for it")
    return model


def _within_loss(
    work: _Work, quantizer: Quantizer
) -> tuple[Forms, onnx.ModelProto, _Measured, _Measured]:
    """Quantize; while too much is lost, more precisely, then with layers in floating point."""
    request = work.request
    watched = Watched(work.model.proto, work.model.results, request.source)
    plain = _measure(work, work.plain, watched)
    precise = wider = False
    while True:
        prepared = quantizer.prepared(work.kept if wider else (), precise)
        forms = _choose(work, prepared)
        proto = prepared.written(forms.forms)
        work.tell("comparing with the model in floating point")
        ours = _measure(work, proto, watched)
        left = [name for name in work.model.results if name not in work.kept]
        if _lost(ours.held_out, plain.held_out) <= request.max_loss:
            return forms, proto, ours, plain
        if not precise:
            precise = True
        elif left and len(work.kept) < request.keep_float:
            work.kept = (*work.kept, _worst_layer(work.model, ours.calibration, left))
        elif work.kept and not wider:
            wider = True
        else:
            return forms, proto, ours, plain


def _choose(work: _Work, prepared: Prepared) -> Forms:
    request = work.request
    bench = FormBench(prepared, work.data.calibration[0], request.threads, request.tune_seconds)
    forms = choose(bench, request.tune, work.tell)
    for name in forms.forms:
        if name.partition("#")[0] in work.kept:
            forms.forms[name], forms.selected[name] = FLOAT, "loss"
    return forms


def _measure(work: _Work, proto: onnx.ModelProto, watched: Watched) -> _Measured:
    name = work.request.source
    return _Measured(
        losses_of(proto, watched, work.data.calibration, name),
        losses_of(proto, watched, work.data.held_out, name),
    )


def _lost(ours: Losses, plain: Losses) -> float:
    """By how many dB the worst output is noisier than with plain quantization."""
    pairs = [(plain.outputs[n].decibels, ours.outputs[n].decibels) for n in ours.outputs]
    return max((p - o for p, o in pairs if p is not None and o is not None), default=0.0)


def _worst_layer(model: FloatModel, losses: Losses, left: Sequence[str]) -> str:
    """The layer that adds most noise: by its own share, beyond that of the layer before."""
    before, gains = 0.0, dict.fromkeys(left, 0.0)
    for name in model.results:
        decibels = losses.layers[name].decibels if name in losses.layers else None
        noise = 0.0 if decibels is None else float(10 ** (-decibels / 10))
        if name in gains:
            gains[name] = noise - before
        before = noise
    return max(gains, key=lambda name: gains[name])


def _result(
    work: _Work, forms: Forms, proto: onnx.ModelProto, ours: _Measured, plain: _Measured
) -> QuantizeResult:
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


def _layer(
    work: _Work, place: int, forms: Forms, ours: _Measured, plain: _Measured
) -> QuantizedLayer:
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
        more = f" and {len(unused) - 5:,} more" if len(unused) > 5 else ""
        found.append(Reason(
            f"the calibration data never used the negative branch of {', '.join(unused[:5])}"
            f"{more}: how well these slopes are quantized is not known",
            "slopes_unused",
        ))  # fmt: skip
    in_float = [x.name for x in layers if x.form == FLOAT and x.selected == "only one"]
    if in_float:
        found.append(Reason(
            "in floating point, because what goes in or comes out is not quantized: "
            f"{', '.join(in_float[:5])}{' and more' if len(in_float) > 5 else ''}",
            "layers_in_float",
        ))  # fmt: skip
    return found


def _times(work: _Work, proto: onnx.ModelProto) -> QuantizedTimes:
    work.tell("timing")
    feeds, threads = work.data.calibration[0], work.request.threads
    models = {"float": work.model.proto, "plain": work.plain, "int8": proto}
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
        threads=threads,
        shapes=tuple((name, values.shape) for name, values in feeds.items()),
        runtime=runtime_version(),
        processor=processor(),
    )


def _results(
    proto: onnx.ModelProto, feeds: Sequence[Feeds], spelled: str
) -> list[Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    session = Session(proto, "cpu", spelled)
    return [session.run(feed) for feed in feeds]


def _place(
    work: _Work, proto: onnx.ModelProto, result: QuantizeResult, folder: Path
) -> QuantizeResult:
    """Verify the file, and put it in place unless the verdict says no."""
    request = work.request
    temporary = folder / "quantized.onnx"
    n_bytes = write_model(OnnxModel(proto, None), temporary).n_bytes
    if request.verify:
        work.tell("verifying")
        verification = _verified(work, temporary, folder)
        result = _judged(request, result, verification)
    result = replace(result, notes=tuple(dict.fromkeys(work.notes)))
    if result.verdict not in ("pass", None):
        return result
    with placing(request.output, request.force) as place:
        n_bytes = write_model(OnnxModel(proto, None), place).n_bytes
    return replace(result, n_bytes=n_bytes)


def _verified(work: _Work, written: Path, folder: Path) -> VerifyResult:
    inputs = folder / "held_out.npz"
    save_feeds(inputs, work.data.held_out)
    request = VerifyRequest(
        reference=work.request.source,
        candidates=(str(written),),
        inputs_file=inputs,
        layouts={"reference": "nchw", "candidate": "nchw"},  # the layout stays
        power=False,
        options=work.request.options,
    )
    found = verify_source(work.graph, request)
    final = str(work.request.output)
    return replace(
        found,
        candidates=tuple(replace(report, model=final) for report in found.candidates),
        reasons=tuple(as_reason(r).renamed(str(written), final) for r in found.reasons),
        notes=tuple(as_reason(n).renamed(str(written), final) for n in found.notes),
    )


def _judged(
    request: QuantizeRequest, result: QuantizeResult, verification: VerifyResult
) -> QuantizeResult:
    reasons: list[str] = list(verification.reasons)
    verdicts: list[Verdict] = [verification.verdict]
    for output in result.outputs:
        lost = (output.snr_plain or 0.0) - (output.snr or 0.0)
        if output.snr is not None and output.snr_plain is not None and lost > request.max_loss:
            verdicts.append("fail")
            reasons.append(Reason(
                f"output {output.name} has {output.snr:.1f} dB on the held-out data, "
                f"{lost:.1f} dB less than with plain quantize_static; --max-loss "
                f"{request.max_loss:g} allows less: --keep-float N leaves layers in floating point",
                "int8_loss",
            ))  # fmt: skip
    metric = result.metric
    dropped = 0.0 if metric is None else metric.in_float - metric.in_int8
    if metric is not None and request.max_drop is not None and dropped > request.max_drop:
        verdicts.append("fail")
        reasons.append(Reason(
            f"{metric.name} is {metric.in_int8:.6g}, where it is {metric.in_float:.6g} in floating "
            f"point; --max-drop {request.max_drop:g} allows less",
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
        result, layers=layers, verdict=verdict, reasons=tuple(reasons), verification=verification
    )
