"""An ONNX file with its slopes where they were meant to lie, and what to hold that against."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import inliner

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.graph.prune import unlist_weights
from prelu_tools.graph.reader import OnnxModel
from prelu_tools.graph.repair import Repair, repair_slopes


@dataclass(frozen=True)
class Meant:
    """A file as it was meant."""

    model: OnnxModel
    """A copy, local functions inlined, its slopes where they belong."""
    repairs: tuple[Repair, ...]
    """What was laid elsewhere; none where the file says what it means."""
    reference: OnnxSource
    """What results are held against: the file, or onnx's evaluator where that does not run so."""


def as_meant(source: OnnxSource, axis: int | None) -> Meant:
    """Lay the slopes of a file where they belong.

    Args:
        source: the file.
        axis: of the slopes, where the user names it; None to take the one that leaves no doubt.

    Raises:
        PReLUToolsError: a slope has two readings.
    """
    original, repaired = _inlined(source.model), _inlined(source.model)
    unlist_weights(original.proto)
    repairs = repair_slopes(repaired, axis, source.options.inputs)
    if not repairs:
        return Meant(repaired, (), source)
    from prelu_tools.backends.onnxruntime.numpy_source import NumpySource

    return Meant(repaired, repairs, NumpySource(source, original, repaired, repairs))


def _inlined(model: OnnxModel) -> OnnxModel:
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    return OnnxModel(proto, model.file)
