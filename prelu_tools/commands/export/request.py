"""The options of `export`: each declared once, for every place that offers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.commands.verify.request import ranges_option
from prelu_tools.core.options import ExternalData, Route, SourceOptions, WantedLayout
from prelu_tools.core.requests.kinds import FLAG, choice, whole
from prelu_tools.core.requests.option import Needs, option
from prelu_tools.core.targets import EXPORT_TARGETS, ExportTarget

_VERIFIES = Needs(lambda values: values.verify, "--no-verify runs nothing")


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and how."""

    source: str
    """The model as the user spelled it."""
    output: Path
    """The file to write."""
    opset: int | None = option(
        whole(),
        "Opset of the exported file  [default: 18; an ONNX source with a newer opset keeps it]",
        default=None,
    )  # fmt: skip
    """Opset of the default domain; None for `DEFAULT_OPSET`, or an ONNX file's own newer one."""
    dtype: str | None = option(
        choice("float32", "float16", is_checked=False),
        "Type of the weights, inputs and outputs  [default: the source's own]",
        default=None, metavar="[float32|float16]", complete=("float32", "float16"),
    )  # fmt: skip
    """`float16` to round the model to it; `float32`, or None for the source's own type."""
    target: ExportTarget = option(
        choice(*EXPORT_TARGETS),
        "Where the model runs. portable: one PRelu node per call; onnxruntime-cpu: the forms of "
        "PReLU that a cost model predicts to be fastest (prelu-tools optimize times them instead); "
        "any other runtime: PReLU is rewritten if that runtime would misread it, and the result is "
        "checked with the runtime if it is installed. RUNTIME is one of "
        f"{', '.join(EXPORT_TARGETS)}.",
        default="portable", metavar="RUNTIME",
    )  # fmt: skip
    slope_axis: int | None = option(
        whole(),
        "For an ONNX file with slopes of shape [C] that fit two axes: the axis that they belong "
        "to, 1 for the channels of NCHW, -1 for the last.",
        default=None, metavar="AXIS", sources="ONNX files",
    )  # fmt: skip
    """See `ConversionOptions.slope_axis`: for ONNX files only."""
    input_layout: WantedLayout = option(
        choice("keep", "nchw", "nhwc"),
        "For Keras models: axis order of the file's inputs of rank 3 or more; --input has the "
        "order of the model.",
        default="keep", sources="Keras models",
    )  # fmt: skip
    """See `ConversionOptions.input_layout`: for Keras models only."""
    output_layout: WantedLayout = option(
        choice("keep", "nchw", "nhwc"),
        "For Keras models: axis order of the file's outputs of rank 4 or more, and of rank 3 if an "
        "input has rank 3.",
        default="keep", sources="Keras models",
    )  # fmt: skip
    """See `ConversionOptions.output_layout`: for Keras models only."""
    route: Route | None = option(
        choice("tf2onnx", "torch"),
        "How a Keras model is run and converted. tf2onnx: on TensorFlow; torch: on PyTorch, by "
        "torch.onnx  [default: by the environment variable KERAS_BACKEND, else tf2onnx if "
        "TensorFlow is installed, else torch]",
        default=None, sources="Keras models other than SavedModels",
    )  # fmt: skip
    """Which of Keras' backends is used: see `commands.export.route`."""
    external_data: ExternalData = option(
        choice("auto", "always", "never"),
        "Put large weights in a file next to the model, MODEL.onnx.HASH.data. auto: only above 2 "
        "GB.",
        default="auto",
    )  # fmt: skip
    """Where large weights go: see `graph.io.writer.write_model`."""
    verify: bool = option(
        FLAG, "Compare the result with SOURCE before writing it.",
        default=True,
    )  # fmt: skip
    quick: bool = option(
        FLAG, "Verify the result with few inputs, as verify --quick does.", default=False,
        needs=(_VERIFIES,),
    )  # fmt: skip
    ranges: Mapping[str, tuple[float, float]] = ranges_option(_VERIFIES)
    """The values that inputs may take as the result is verified: see `VerifyRequest.ranges`."""
    force: bool = option(FLAG, "Replace an existing file.", default=False)
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""
