"""`optimize` as a function."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.arguments import PathLike, Shapes, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.optimization import Exactness, OptimizeResult
from prelu_tools.core.targets import ExportTarget
from prelu_tools.live import Model, name_of, opened


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
    """Rewrite every PReLU of an ONNX model in the form that runs fastest; prove that it is equal.

    Args:
        source: an ONNX model: a path, or an `onnx.ModelProto`.
        output: the file to write, completely or not at all.
        target: the runtime to optimize for; all but `onnxruntime-cpu` get one PRelu node per call,
            rewritten if the runtime would misread it, as by `export`.
        exact: `layer`, `bitwise`, `special` or `approximate=ULPS`; see `Exactness`.
        tune: whether to time the forms in the model; with None, if it runs in under a second.
            False uses a cost model, which gives the same result on every machine.
        tune_seconds: how long timing may take.
        choices: a JSON report of an earlier run, to reuse its choices.
        inputs: inputs for timing and for comparing the outputs bit for bit; None for random ones.
        threads: number of onnxruntime threads while timing.
        repair_slopes: whether to move slopes of shape `[C]` to the channel axis of feature maps
            `[N, C, H, W]`, for files from MXNet.
        slope_axis: with `repair_slopes`, the axis of the slopes if C matches both axis 1 and the
            last: 1 for the channels, -1 for the last.
        force: whether to replace an existing file.
        input: sizes for timing, if the model leaves them dynamic.
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
