"""The commands for programs and notebooks: on live models and on paths.

    from prelu_tools import export, inspect, optimize, verify

    export(net, "net.onnx", input={"x": ("batch", 3, 112, 112)})
    verify(net, "net.onnx", input={"x": ("batch", 3, 112, 112)}).raise_for_verdict()

A model is a path, any other SOURCE as on the command line (`nets.py:Net@weights.pt`), a
`torch.nn.Module`, a `keras.Model` or an `onnx.ModelProto`; live modules keep their mode. Calls on
ONNX files and protos may run in several threads at once; calls with any other model run one at a
time, because the frameworks are not thread-safe. Keyword arguments have the names and meanings of
the commands' options. Results are frozen dataclasses that are shown as tables in Jupyter and by
`print`. Where a command exits with 2 or 3, the function raises a `PReLUToolsError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, overload

from prelu_tools.arguments import PathLike, Range, Shapes, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import ExternalData, InputLayout, Route, SourceOptions
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.optimization import Exactness, OptimizeResult
from prelu_tools.core.results.quantization import QuantizeResult
from prelu_tools.core.results.record import RecordResult
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.core.targets import ExportTarget, Runtime
from prelu_tools.live import Model, is_live, name_of, opened, turns

__all__ = ["Model", "export", "inspect", "optimize", "quantize", "record", "verify"]


@speaking_python
def export(
    source: Model,
    output: PathLike,
    *,
    opset: int | None = None,
    dtype: Literal["float32", "float16"] | None = None,
    target: ExportTarget = "portable",
    slope_axis: int | None = None,
    input_layout: InputLayout = "keep",
    route: Route | None = None,
    external_data: ExternalData = "auto",
    verify: bool = True,
    quick: bool = False,
    input_range: Range | Mapping[str, Range] | None = None,
    force: bool = False,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> ExportResult:
    """Export a Keras, PyTorch or ONNX model to ONNX: each PReLU call is one PRelu node.

    The file is compared with its source before it is put in place, as `prelu-tools export` does.

    Args:
        source: the model.
        output: the file to write, completely or not at all.
        opset: opset of the result; None for 18, or a newer one of an ONNX file.
        dtype: type of the weights, inputs and outputs; None for the source's own.
        target: `portable` for one PRelu node per call; `onnxruntime-cpu` for the forms that a
            cost model predicts to be fastest there; another runtime for PReLU rewritten where that
            would misread it.
        slope_axis: for an ONNX file with slopes `[C]` that fit two axes: the axis that they belong
            to, 1 for the channels of NCHW, -1 for the last.
        input_layout: axis order of the inputs of a Keras model, of rank 3 and above.
        route: `tf2onnx` or `torch`, the backend on which Keras runs and from which a Keras model is
            converted; Keras must not be imported yet, or run on it already.
        external_data: whether large weights go to a second file next to the model.
        verify: whether to compare the result with its source.
        quick: whether to verify with few inputs only.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        force: whether to replace an existing file.
        input: the shapes of inputs that the model does not know.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        What was written, and its verification.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        ExportVerificationError: the result differs from its source; nothing was written.
        PReLUToolsError: the source cannot be read, converted or checked; nothing was written.
    """
    given = locals()
    from prelu_tools.commands.export.command import export as run
    from prelu_tools.commands.export.request import ExportRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(ExportRequest, given)
    request = ExportRequest(name_of(source), Path(output), options=options, **fields)
    with turns(source):
        if not is_live(source):
            return run(request)
        with opened(source, request.source, options) as live:
            return run(request, opened=live)


@speaking_python
def verify(
    reference: Model,
    *candidates: Model,
    provider: str | Sequence[str] = "cpu",
    runtime: str | Sequence[str] = (),
    allow_fallback: bool = False,
    inputs: Values | None = None,
    save_inputs: PathLike | None = None,
    input_range: Range | Mapping[str, Range] | None = None,
    samples: int | None = None,
    seed: int = 0,
    search_seconds: float = 5.0,
    tolerance: Literal["calibrated"] | tuple[float, float] = "calibrated",
    layers: bool = True,
    min_coverage: float | None = None,
    min_hits: int | None = None,
    power: bool = True,
    min_power: float | None = None,
    quick: bool = False,
    bundle: PathLike | None = None,
    layout: Mapping[str, Layout] | None = None,
    strict_special: bool = False,
    strict_interface: bool = False,
    allow_no_prelu: bool = False,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> VerifyResult:
    """Compare each candidate with a reference: slopes bit for bit, every layer, every output.

    A candidate that fails or cannot be read is part of the result and raises no exception. Check
    the `verdict` of the result, use it as a condition (`if verify(...)`), or call
    `raise_for_verdict()`.

    Args:
        reference: the model that is correct.
        candidates: the models to compare with it; at least one.
        provider: the execution provider, or several, that ONNX candidates run on: `cpu`, `cuda`,
            `tensorrt`, `openvino` or onnxruntime's own name, optionally with options
            (`cuda:use_tf32=1`).
        runtime: a runtime, or several, that ONNX candidates are converted for and run by, too:
            `ncnn`, `openvino`, `onnxruntime-web`.
        allow_fallback: whether nodes may run on another provider than requested.
        inputs: use exactly these inputs; with `samples`, in addition to random ones.
        save_inputs: an `.npz` file in which to save the inputs that were used.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        samples: number of random rows; None for 16.
        seed: random seed for the inputs.
        search_seconds: how long to search for inputs that reach slopes which no random input
            reached.
        tolerance: `calibrated`, from the reference's own rounding, or `(rtol, atol)` as in
            `numpy.testing.assert_allclose`.
        layers: whether to compare every PReLU layer while the models run.
        min_coverage: required share of all slopes, from 0 to 1, whose negative branch the inputs
            reach.
        min_hits: required number of negative inputs that each slope meets.
        power: whether to plant slope faults in a copy, to measure what the checks catch.
        min_power: required share of caught faults among those planted on reached slopes; None
            for all of them, if that can be measured.
        quick: whether to run only the cheap checks: 4 inputs, no search for more, no planted
            faults.
        bundle: a folder for a minimal reproduction of a failure.
        layout: the axis order, `nchw` or `nhwc`, of `reference`, `candidate` or a model's path.
        strict_special: whether a layer fails that differs only for infinite or NaN inputs.
        strict_interface: whether any difference in names, types and sizes of inputs and outputs
            fails.
        allow_no_prelu: whether models without any PReLU pass if their outputs agree.
        input: the shapes of inputs that a model does not know.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        The result; true if everything passed.

    Raises:
        UsageError: an argument is not valid.
        PReLUToolsError: the reference cannot be read or run.
    """
    given = locals()
    from prelu_tools.commands.verify.command import before_loading, layouts_of, verify_source
    from prelu_tools.commands.verify.inputs.other import asking
    from prelu_tools.commands.verify.request import VerifyRequest

    if not candidates:
        raise UsageError(f"no candidate to compare {name_of(reference)} with: give at least one")
    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(VerifyRequest, {**given, "inputs": None})  # written to a file below
    left = name_of(reference, "reference")
    names = _names(candidates)
    with turns(reference, *candidates), ExitStack() as stack:
        file = stack.enter_context(values_file(inputs))
        request = VerifyRequest(left, names, inputs_file=file, options=options, **fields)
        objects = zip((left, *names), (reference, *candidates), strict=True)
        refused = before_loading(request, [name for name, model in objects if is_live(model)])
        if refused is not None:
            return refused
        live: dict[str, Any] = {}
        told = asking(options, names, live, layouts_of(request))
        source = stack.enter_context(opened(reference, left, told))
        told = asking(options, [left], {left: source}, layouts_of(request).turned)
        for name, model in zip(names, candidates, strict=True):
            if is_live(model):
                live[name] = stack.enter_context(opened(model, name, told))
        return verify_source(source, request, live)


def _names(candidates: Sequence[Model]) -> tuple[str, ...]:
    """What each is called; objects are numbered where there are several."""
    many = len(candidates) > 1
    return tuple(
        name_of(model, f"candidate {number}" if many else "candidate")
        for number, model in enumerate(candidates, start=1)
    )


@overload
def inspect(
    source: Model,
    other: None = None,
    *,
    near: float = ...,
    data: Values | None = ...,
    target: Runtime | None = ...,
    input: Shapes | None = ...,
    custom_objects: str | Sequence[str] = ...,
    allow_unsafe_load: bool = ...,
    verbose: bool = ...,
) -> InspectResult: ...
@overload
def inspect(
    source: Model,
    other: Model,
    *,
    near: float = ...,
    data: Values | None = ...,
    target: Runtime | None = ...,
    input: Shapes | None = ...,
    custom_objects: str | Sequence[str] = ...,
    allow_unsafe_load: bool = ...,
    verbose: bool = ...,
) -> CompareResult: ...
@speaking_python
def inspect(
    source: Model,
    other: Model | None = None,
    *,
    near: float = 0.01,
    data: Values | None = None,
    target: Runtime | None = None,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> InspectResult | CompareResult:
    """Show the PReLU slopes of a model, layer by layer, or what changed from one to another.

    Args:
        source: the model, or a file that has only weights.
        other: a second model, to compare with the first.
        near: how close to 0 (or 1) a slope counts as ReLU (or the identity).
        data: inputs to run an ONNX model on, to see how often each negative branch is used.
        target: a runtime of `core.targets.RUNTIMES`, to predict what it does with each layer of an
            ONNX model.
        input: the shapes of inputs that the model does not know.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to list near misses, and show the frameworks' messages.

    Returns:
        The layers with their statistics, health and findings; for two models, what changed.

    Raises:
        UsageError: an argument is not valid, or needs an ONNX model.
        PReLUToolsError: a model cannot be read, or the data cannot be run.
    """
    given = locals()
    from prelu_tools.commands.inspect.command import inspect_opened
    from prelu_tools.commands.inspect.compare import compare
    from prelu_tools.commands.inspect.request import InspectRequest

    shared = other is not None
    options = SourceOptions(**read_keywords(SourceOptions, given), is_shared=shared)
    fields = read_keywords(InspectRequest, {**given, "data": None})
    found = []
    with values_file(data) as file:
        request = InspectRequest(data=file, explain=verbose, options=options, **fields)
        for model in (source,) if other is None else (source, other):
            with turns(model), opened(model, name_of(model), options, inspecting=True) as live:
                found.append(inspect_opened(live, request))
    return found[0] if other is None else compare(found[0], found[1])


@speaking_python
def optimize(
    source: Model,
    output: PathLike,
    *,
    target: ExportTarget = "onnxruntime-cpu",
    exact: str | Exactness = "layer",
    tune: bool | None = None,
    tune_seconds: float = 30.0,
    choices: PathLike | None = None,
    inputs: Values | None = None,
    threads: int = 1,
    repair_slopes: bool = False,
    slope_axis: int | None = None,
    force: bool = False,
    input: Shapes | None = None,
    verbose: bool = False,
) -> OptimizeResult:
    """Rewrite every PReLU of an ONNX model in the form that runs fastest, and prove it equal.

    Args:
        source: an ONNX model: a path, or an `onnx.ModelProto`.
        output: the file to write, completely or not at all.
        target: the runtime to optimize for; all but `onnxruntime-cpu` get one PRelu node per call,
            rewritten where the runtime would misread it, as by `export`.
        exact: `layer`, `bitwise`, `special` or `approximate=ULPS`; see `Exactness`.
        tune: whether to time the forms in the model; with None, if it runs in under a second.
            False uses a cost model, which gives the same result on every machine.
        tune_seconds: how long timing may take.
        choices: a JSON report of an earlier run, to reuse its choices.
        inputs: inputs for timing and for comparing the outputs bit for bit; None for random ones.
        threads: number of onnxruntime threads while timing.
        repair_slopes: whether to move slopes `[C]` on maps `[N, C, H, W]` to the channel axis, as
            in files from MXNet.
        slope_axis: the axis of such slopes if C matches both: 1 for the channels, -1 for the
            last.
        force: whether to replace an existing file.
        input: sizes for timing, if the model leaves them free.
        verbose: whether to show the frameworks' own messages.

    Returns:
        The form of each layer, the time that it saves, and the result of the comparison.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        ExportVerificationError: the result differs from its source; nothing was written.
        PReLUToolsError: the source cannot be read, has no PReLU, or could not be checked; nothing
            was written.
    """
    given = locals()
    from prelu_tools.commands.optimize.command import optimize as run
    from prelu_tools.commands.optimize.request import OptimizeRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(OptimizeRequest, {**given, "inputs": None})
    name = name_of(source)
    with values_file(inputs) as file, opened(source, name, options) as live:
        request = OptimizeRequest(name, Path(output), inputs_file=file, options=options, **fields)
        return run(request, opened=live)


@speaking_python
def quantize(
    source: Model,
    output: PathLike,
    *,
    calibration: Values,
    max_loss: float = 1.0,
    keep_float: int = 2,
    metric: str | None = None,
    max_drop: float | None = None,
    quantizer_option: Mapping[str, object] | None = None,
    tune: bool = True,
    tune_seconds: float = 20.0,
    threads: int = 1,
    verify: bool = True,
    force: bool = False,
    verbose: bool = False,
) -> QuantizeResult:
    """Quantize an ONNX model to 8-bit integers, PReLU included, and prove what is left of it.

    A file that fails its check is part of the result and is not written.

    Args:
        source: an ONNX model in floating point: a path, or an `onnx.ModelProto`.
        output: the file to write, completely or not at all.
        calibration: inputs as the model takes them, one row a sample: arrays by name, or the path
            of an `.npz` file or of a folder. A quarter of the rows is held out.
        max_loss: how many dB of signal-to-noise ratio the outputs may have less than with plain
            `quantize_static`.
        keep_float: how many PReLU layers may stay in floating point to meet `max_loss`; if that
            is not enough, the layers before them too.
        metric: a function of yours, `metrics.py:top1`, that is called with the outputs and the
            data, by name, and returns a number; arrays beside the inputs are passed to it.
        max_drop: how much lower than in floating point the metric may be.
        quantizer_option: options of onnxruntime's `quantize_static` or of its `extra_options`.
        tune: whether to time the integer forms in the model; False takes the most exact ones.
        tune_seconds: how long timing may take.
        threads: number of onnxruntime threads while timing.
        verify: whether to compare the file with the model in floating point.
        force: whether to replace an existing file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        The form of each layer, what was lost, the times, and the verdict; true if all held.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        PReLUToolsError: the source or the data cannot be read, or do not fit each other; nothing
            was written.
    """
    given = locals()
    from prelu_tools.commands.quantize.command import quantize as run
    from prelu_tools.commands.quantize.request import QuantizeRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(QuantizeRequest, given)
    name = name_of(source)
    with values_file(calibration) as file, opened(source, name, options) as live:
        request = QuantizeRequest(name, Path(output), Path(file or ""), options=options, **fields)
        return run(request, opened=live)


@speaking_python
def record(
    source: Model,
    output: PathLike,
    *,
    inputs: Values | None = None,
    input_range: Range | Mapping[str, Range] | None = None,
    samples: int | None = None,
    seed: int = 0,
    search_seconds: float = 5.0,
    max_size: float = 100.0,
    force: bool = False,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> RecordResult:
    """Run a model as `verify` runs a reference, and save the results in a file.

    `verify` accepts the file instead of the model, on machines that lack its framework.

    Args:
        source: the model.
        output: the `.npz` file to write, completely or not at all.
        inputs: use exactly these inputs; with `samples`, in addition to random ones.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        samples: number of random rows; None for 16.
        seed: random seed for the inputs.
        search_seconds: how long to search for inputs that reach slopes which no random input
            reached.
        max_size: maximum size of the record in megabytes, before compression; beyond it, layer
            values are kept only for the smaller runs.
        force: whether to replace an existing file.
        input: the shapes of inputs that the model does not know.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        What was written.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        PReLUToolsError: the model cannot be read or run, or the file cannot be written.
    """
    given = locals()
    from prelu_tools.commands.record.command import record as run
    from prelu_tools.commands.record.request import RecordRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(RecordRequest, {**given, "inputs": None})  # written to a file below
    with turns(source), values_file(inputs) as file:
        request = RecordRequest(
            name_of(source), Path(output), inputs_file=file, options=options, **fields
        )
        if not is_live(source):
            return run(request)
        with opened(source, request.source, options) as live:
            return run(request, opened=live)
