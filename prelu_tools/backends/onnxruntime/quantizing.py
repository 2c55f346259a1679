"""onnxruntime's own quantizer: its arguments, and the QDQ graph that it writes."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from prelu_tools.backends.onnxruntime.running.messages import sentence
from prelu_tools.backends.onnxruntime.running.session import (
    import_onnxruntime,
    load_session,
    session_options,
)
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError

Feeds = Mapping[str, Array]
_OURS = ("model_input", "model_output", "calibration_data_reader", "quant_format",
         "nodes_to_exclude", "extra_options", "calibration_cache_path")  # fmt: skip
_ENUMS = {"activation_type": "QuantType", "weight_type": "QuantType",
          "calibrate_method": "CalibrationMethod"}  # fmt: skip
_LISTS = ("op_types_to_quantize", "nodes_to_quantize", "calibration_providers")


@dataclass(frozen=True)
class QuantizerOptions:
    """What is passed to `quantize_static` besides the model and its data."""

    keywords: Mapping[str, Any]
    """Its own keyword arguments."""
    extra: Mapping[str, Any]
    """Values for its `extra_options`."""


class _Rows:
    """A reader of calibration data, as onnxruntime wants it."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._rows: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        """The next inputs; None after the last."""
        return next(self._rows, None)


def quantizer_options(given: Mapping[str, str]) -> QuantizerOptions:
    """Options of onnxruntime's quantizer from texts.

    By default: unsigned activations and signed weights, which the integer kernels of x86 want, and
    a scale for each channel.

    Args:
        given: by the name of a keyword of `quantize_static`, or of one of its extra options.

    Raises:
        UsageError: the option does not exist, its value is not valid, or prelu-tools sets it
            itself.
    """
    quantization = _quantization()
    known = inspect.signature(quantization.quantize_static).parameters
    types = quantization.QuantType
    keywords: dict[str, Any] = {"activation_type": types.QUInt8, "weight_type": types.QInt8,
                                "per_channel": True}  # fmt: skip
    extra: dict[str, Any] = {}
    for name, text in given.items():
        if name in _OURS or name == "TensorQuantOverrides":
            raise UsageError(f"--quantizer-option {name}: prelu-tools sets this one itself")
        if name in _ENUMS:
            members = getattr(quantization, _ENUMS[name]).__members__
            found = {member.lower(): value for member, value in members.items()}
            if text.lower() not in found:
                raise UsageError(
                    f"--quantizer-option {name}={text}: expected one of {', '.join(members)}"
                )
            keywords[name] = found[text.lower()]
        elif name in _LISTS:
            keywords[name] = [part for part in text.split(",") if part]
        elif name in known:
            keywords[name] = _plain(text)
        elif name in (names := _extra_names(Path(quantization.__file__).parent)):
            extra[name] = _plain(text)
        else:
            near = difflib.get_close_matches(name, [*known, *names], n=1, cutoff=0.7)
            raise UsageError(
                f"--quantizer-option {name}: onnxruntime's quantizer has no such option"
                f"{f': did you mean {near[0]}?' if near else ''}"
            )
    return QuantizerOptions(keywords, extra)


@cache
def _extra_names(package: Path) -> frozenset[str]:
    """What may be an extra option: onnxruntime lists them nowhere, and ignores unknown ones."""
    code = "".join(path.read_text("utf-8") for path in sorted(package.rglob("*.py")))
    return frozenset(re.findall(r"""["']([A-Z]\w+)["']""", code))


def _plain(text: str) -> Any:
    """True, False or a number; any other text as it is."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def quantized_statically(
    proto: onnx.ModelProto,
    feeds: Sequence[Feeds],
    options: QuantizerOptions,
    *,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    excluded: Sequence[str] = (),
    cache: Path | None = None,
) -> onnx.ModelProto:
    """What `quantize_static` makes of a model, in QDQ format.

    Args:
        proto: the floating-point model, complete.
        feeds: the calibration data.
        options: of the quantizer.
        ranges: of some tensors, in place of what calibration finds.
        excluded: names of nodes that stay in floating point.
        cache: a file that keeps the ranges of this model and data; None to calibrate again.

    Raises:
        PReLUToolsError: onnxruntime's quantizer fails.
    """
    import numpy as np

    quantization = _quantization()
    extra = dict(options.extra)
    if ranges:
        extra["TensorQuantOverrides"] = {
            name: [{"rmin": np.asarray(low, np.float32), "rmax": np.asarray(high, np.float32)}]
            for name, (low, high) in ranges.items()
        }
    keywords = dict(options.keywords)
    known = inspect.signature(quantization.quantize_static).parameters
    if cache is not None and "calibration_cache_path" in known:
        keywords["calibration_cache_path"] = cache
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        output = Path(folder) / "quantized.onnx"
        try:
            with quiet(False, ""):
                quantization.quantize_static(
                    copy, output, _Rows(feeds), quant_format=quantization.QuantFormat.QDQ,
                    nodes_to_exclude=list(excluded), extra_options=extra, **keywords,
                )  # fmt: skip
            return onnx.load(output)
        except Exception as error:  # it may raise any exception of numpy, onnx and onnxruntime
            raise PReLUToolsError(
                f"onnxruntime {import_onnxruntime().__version__} cannot quantize the model "
                f"({type(error).__name__}: {sentence(error)})"
            ) from error


def folded(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with normalisations folded into convolutions, as quantizers want it.

    Raises:
        PReLUToolsError: onnxruntime cannot load it.
    """
    if not any(node.op_type == "BatchNormalization" for node in proto.graph.node):
        return proto
    ort = import_onnxruntime()
    options = session_options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        load_session(proto.SerializeToString(), options, "the model")
        return onnx.load(options.optimized_model_filepath)


def _quantization() -> Any:
    import_onnxruntime()
    return importlib.import_module("onnxruntime.quantization")
