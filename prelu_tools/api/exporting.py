"""`export` as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from prelu_tools.arguments import PathLike, Range, Shapes
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.options import ExternalData, Route, SourceOptions, WantedLayout
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.targets import ExportTarget
from prelu_tools.live import Model, is_live, name_of, opened, turns


@speaking_python
def export(
    source: Model,
    output: PathLike,
    *,
    opset: int | None = None,
    dtype: Literal["float32", "float16"] | None = None,
    target: ExportTarget = "portable",
    slope_axis: int | None = None,
    input_layout: WantedLayout = "keep",
    output_layout: WantedLayout = "keep",
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
    """Export a Keras, PyTorch or ONNX model to ONNX: each call of a PReLU is one PRelu node.

    The file is compared with its source before it is put in place, as `prelu-tools export` does.

    Args:
        source: the model.
        output: the file to write, completely or not at all.
        opset: opset of the result; None for 18, or that of an ONNX file with a newer one.
        dtype: type of the weights, inputs and outputs; None for the source's own.
        target: `portable` for one PRelu node per call; `onnxruntime-cpu` for the forms that a
            cost model predicts to be fastest there; another runtime for PReLU nodes that are
            rewritten if that runtime would misread them.
        slope_axis: for an ONNX file with slopes `[C]` that fit two axes: the axis that they belong
            to, 1 for the channels of NCHW, -1 for the last.
        input_layout: axis order of a Keras model's inputs that have 3 or more dimensions.
        output_layout: axis order of a Keras model's outputs that have 4 or more dimensions, or 3
            if an input has 3.
        route: `tf2onnx` or `torch`, the backend on which Keras runs and from which a Keras model is
            converted; Keras must not be imported yet, or run on it already.
        external_data: whether large weights go to a second file next to the model.
        verify: whether to compare the result with its source.
        quick: whether to verify with few inputs only.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        force: whether to replace an existing file.
        input: the shapes of inputs that the model does not define.
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
