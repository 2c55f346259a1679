"""Quantize a model with PReLU to 8-bit integers, and measure what it costs in accuracy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.quantizing import quantizer_options
from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.registry import open_source, runs_in_onnxruntime
from prelu_tools.commands.optimize.preparing import no_graph
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.quantize.calibration import read_calibration
from prelu_tools.commands.quantize.choosing import FormBench, Forms, choose, most_exact
from prelu_tools.commands.quantize.losses import Losses, Watched, losses_of
from prelu_tools.commands.quantize.metric import load_metric, measured
from prelu_tools.commands.quantize.outcome import (
    Measured,
    Work,
    judged,
    result_of,
)
from prelu_tools.commands.quantize.quantizing import (
    FloatModel,
    Prepared,
    Quantizer,
    demand_opset,
    equalized,
    float_model,
    look,
)
from prelu_tools.commands.quantize.ranges import EXACT, FASTEST, NOTICEABLE
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.inputs.feeds import Feeds, save_feeds
from prelu_tools.commands.verify.judging import is_quantized
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.process.progress import ProgressCallback, silent
from prelu_tools.core.results.quantization import (
    QuantizedMetric,
    QuantizeResult,
)
from prelu_tools.core.results.reasons import as_reason
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.writer import refuse_existing, write_model
from prelu_tools.graph.quantized.forms import FLOAT


def quantize(
    request: QuantizeRequest, progress: ProgressCallback = silent, opened: Source | None = None
) -> QuantizeResult:
    """Quantize a model.

    A file that fails is part of the result, and is not written.

    Args:
        request: what to quantize, and how.
        progress: is told what is being done.
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
    progress("reading")
    graph = _opened(request, opened)
    needs = metric is not None
    data = read_calibration(request.calibration, graph.inputs(), needs)
    model = _float_model(graph, request)
    progress("running the model on the calibration data")
    shapes = [spec.shape for spec in graph.inputs()]
    look(model, data.calibration, request.source, shapes)
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        progress("quantizing")
        quantizers = [Quantizer(model, data.calibration, options, Path(folder))]
        work = Work(request, graph, data, model, quantizers[0].plain(), progress)
        if (equal := equalized(model)) is not None:
            look(equal, data.calibration, request.source, shapes)
            apart = Path(folder) / "equalized"
            apart.mkdir()
            quantizers.append(Quantizer(equal, data.calibration, options, apart))
        plain, found = _within_loss(work, quantizers)
        proto = found.proto
        result = result_of(work, found.forms, proto, found.losses, plain)
        if metric is not None and request.metric is not None:
            protos = (model.proto, work.plain, proto)
            results = [_results(p, data.held_out, request.source) for p in protos]
            scores = [
                measured(metric, request.metric, each, data.held_out, data.extra)
                for each in results
            ]
            result = replace(result, metric=QuantizedMetric(request.metric, *scores))
        result = _place(work, proto, result, Path(folder))
    return replace(result, seconds=time.perf_counter() - start)


def _opened(request: QuantizeRequest, opened: Source | None) -> OnnxGraph:
    if opened is None and not runs_in_onnxruntime(request.source):
        raise no_graph(request.source)
    if request.output.exists() and _is_same_file(request.source, request.output):
        raise UsageError(f"{request.output} is the model itself: expected another name for -o")
    source = open_source(request.source, request.options) if opened is None else opened
    graph = source.graph
    if graph is None:
        raise no_graph(request.source)
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


@dataclass(frozen=True)
class _Attempt:
    """One way to quantize the model, and what it loses."""

    forms: Forms
    proto: onnx.ModelProto
    losses: Measured


def _within_loss(work: Work, quantizers: Sequence[Quantizer]) -> tuple[Measured, _Attempt]:
    """What plain quantization loses, and the first way that loses little enough beside it.

    The fastest forms, if they lose nothing; then finer scales; then layers in floating point.
    """
    request = work.request
    plain = _measure(work, work.plain, work.model)
    first = [_attempt(work, each, FASTEST) for each in quantizers]
    worst = [max(_lost_by(each.losses.calibration, plain.calibration), default=0.0)
             for each in first]  # fmt: skip
    best = worst.index(min(worst))
    quantizer, found = quantizers[best], first[best]
    for worth in (FASTEST, NOTICEABLE, EXACT):
        found = found if worth == FASTEST else _attempt(work, quantizer, worth)
        if _is_enough(work, found, plain, worth):
            found = _timed(work, quantizer, worth, found)
            if _is_enough(work, found, plain, worth):
                return plain, found
    wider = False
    while not _is_enough(work, found, plain, EXACT):
        left = [name for name in work.model.results if name not in work.kept]
        if left and len(work.kept) < request.keep_float:
            work.kept = (*work.kept, _worst_layer(work.model, found.losses.calibration, left))
        elif work.kept and not wider:
            wider = True
        else:
            break
        found = _attempt(work, quantizer, EXACT, wider)
    return plain, _timed(work, quantizer, EXACT, found, wider)


def _is_enough(work: Work, found: _Attempt, plain: Measured, worth: float) -> bool:
    """Whether no output loses too much; of the fastest forms, nor all of them on average."""
    lost = _lost_by(found.losses.held_out, plain.held_out)
    average = sum(lost) / len(lost) if lost and worth == FASTEST else 0.0
    return average <= 0 and max(lost, default=0.0) <= work.request.max_loss


def _attempt(work: Work, quantizer: Quantizer, worth: float, wider: bool = False) -> _Attempt:
    """Every PReLU in the most exact form that fits."""
    prepared = quantizer.prepared(work.kept if wider else (), worth)
    return _written(work, quantizer, prepared, most_exact(prepared))


def _timed(
    work: Work, quantizer: Quantizer, worth: float, found: _Attempt, wider: bool = False
) -> _Attempt:
    """The same with the fastest forms."""
    request = work.request
    if not request.tune:
        return found
    prepared = quantizer.prepared(work.kept if wider else (), worth)
    bench = FormBench(prepared, work.data.calibration[0], request.threads, request.tune_seconds)
    return _written(work, quantizer, prepared, choose(bench, work.progress))


def _written(work: Work, quantizer: Quantizer, prepared: Prepared, forms: Forms) -> _Attempt:
    for name in forms.forms:
        if name.partition("#")[0] in work.kept:
            forms.forms[name], forms.selected[name] = FLOAT, "loss"
    proto = prepared.written(forms.forms)
    work.progress("comparing with the model in floating point")
    return _Attempt(forms, proto, _measure(work, proto, quantizer.model))


def _measure(work: Work, proto: onnx.ModelProto, model: FloatModel) -> Measured:
    name = work.request.source
    watched = Watched(model.proto, model.results, name)
    return Measured(
        losses_of(proto, watched, work.data.calibration, name),
        losses_of(proto, watched, work.data.held_out, name),
    )


def _lost_by(ours: Losses, plain: Losses) -> list[float]:
    """By how many dB each output is noisier than with plain quantization."""
    pairs = [(plain.outputs[n].decibels, ours.outputs[n].decibels) for n in ours.outputs]
    return [p - o for p, o in pairs if p is not None and o is not None]


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


def _results(
    proto: onnx.ModelProto, feeds: Sequence[Feeds], spelled: str
) -> list[Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    session = Session(proto, "cpu", spelled)
    return [session.run(feed) for feed in feeds]


def _place(
    work: Work, proto: onnx.ModelProto, result: QuantizeResult, folder: Path
) -> QuantizeResult:
    """Verify the file, and put it in place unless the verdict says no."""
    request = work.request
    temporary = folder / "quantized.onnx"
    n_bytes = write_model(OnnxModel(proto, None), temporary).n_bytes
    if request.verify:
        work.progress("verifying")
        verification = _verified(work, temporary, folder)
        result = judged(request, result, verification)
    result = replace(result, notes=tuple(dict.fromkeys(work.notes)))
    if result.verdict not in ("pass", None):
        return result
    with placing(request.output, request.force) as place:
        n_bytes = write_model(OnnxModel(proto, None), place).n_bytes
    return replace(result, n_bytes=n_bytes)


def _verified(work: Work, written: Path, folder: Path) -> VerifyResult:
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
