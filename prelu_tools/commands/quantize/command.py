"""Quantize a model with PReLU to 8-bit integers, and measure what it costs in accuracy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.quantizing import quantizer_options
from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.registry import runs_in_onnxruntime
from prelu_tools.commands.optimize.preparing import no_graph
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.quantize.calibration import read_calibration
from prelu_tools.commands.quantize.metric import load_metric, measured
from prelu_tools.commands.quantize.outcome import (
    Work,
    judged,
    result_of,
)
from prelu_tools.commands.quantize.quantizing import (
    FloatModel,
    Quantizer,
    demand_opset,
    float_model,
    look,
)
from prelu_tools.commands.quantize.request import QuantizeRequest
from prelu_tools.commands.quantize.searching import within_loss
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


def quantize(
    request: QuantizeRequest, progress: ProgressCallback = silent, opened: Source | None = None
) -> QuantizeResult:
    """Quantize a model.

    A file that fails is part of the result, and is not written.

    Args:
        request: what to quantize, and how.
        progress: called with the name of each step.
        opened: the source, where it is open already; None to open it.

    Raises:
        UsageError: the output exists, or the source is not a floating-point ONNX file.
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
    look(model, data.calibration, request.source, [spec.shape for spec in graph.inputs()])
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        progress("quantizing")
        quantizer = Quantizer(model, data.calibration, options, Path(folder))
        work = Work(request, graph, data, model, quantizer.plain(), progress)
        plain, found = within_loss(work, quantizer)
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
            f"{request.source} is already quantized: expected the floating-point model"
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


def _results(
    proto: onnx.ModelProto, feeds: Sequence[Feeds], label: str
) -> list[Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    session = Session(proto, "cpu", label)
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
