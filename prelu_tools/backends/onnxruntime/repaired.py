"""An ONNX file with repaired slopes, and what to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.passes.finish import IR_VERSION
from prelu_tools.graph.passes.prune import unlist_weights
from prelu_tools.graph.passes.repair import Repair, repair_slopes

if TYPE_CHECKING:
    from prelu_tools.backends.onnxruntime.running.session import Session

_FIRST_RUN = 7  # the first opset that onnxruntime promises to run


@dataclass(frozen=True)
class RepairedModel:
    """A file whose slopes are on the axes where they belong."""

    model: OnnxModel
    """A copy, local functions inlined, its slopes where they belong; weights stay in their file."""
    repairs: tuple[Repair, ...]
    """What was laid along another axis; none where the file says what it means."""
    n_listed: int
    """Weights that were listed as inputs, and are constants now."""
    reference: OnnxSource | None
    """What results are compared with in place of a file that does not run so; None for itself."""
    is_lowered: bool = False
    """Whether the file is run as one of an older IR version, which changes nothing it computes."""


def repaired_model(source: OnnxGraph, axis: int | None) -> RepairedModel:
    """Lay the slopes of a file where they belong.

    Args:
        source: the file.
        axis: of the slopes, where the user names it; None to take the one that leaves no doubt.

    Raises:
        PReLUToolsError: a slope has two readings.
    """
    proto = source.model.proto
    original = _copy(source.model, inlined(proto))
    n_listed = unlist_weights(original.proto)
    repaired = _copy(original, original.proto)
    repairs = repair_slopes(repaired, axis, source.options.inputs)
    reference: OnnxSource | None = None
    is_lowered = False
    if repairs or source.model.opset < _FIRST_RUN:
        from prelu_tools.backends.onnxruntime.numpy_source import NumpySource

        reference = NumpySource(source, original, repaired, repairs)
    elif proto.ir_version > IR_VERSION and not _loads(proto.ir_version):
        reference, is_lowered = _LoweredSource(source), True
    return RepairedModel(repaired, repairs, n_listed, reference, is_lowered)


class _LoweredSource(OnnxSource):
    """A file, run as if it said that it is of an older IR version.

    That version says how a file is laid out; what its operators compute follows from the opset.
    """

    def __init__(self, source: OnnxGraph) -> None:
        """Take a source; its weights stay where they are."""
        proto = onnx.ModelProto()
        proto.CopyFrom(source.model.proto)
        proto.ir_version = IR_VERSION
        model = OnnxModel(proto, source.model.file, dict(source.model.memory))
        super().__init__(source.path, model, source.label, source.options)

    def session(self, provider: str) -> Session:
        """The file by its skeleton, which has the older version."""
        from prelu_tools.backends.onnxruntime.running.session import Session

        return Session(self.model.proto, provider, self.label, self.model.folder)


def _loads(ir_version: int) -> bool:
    from prelu_tools.backends.onnxruntime.running.session import newest_ir_version

    return ir_version <= newest_ir_version()


def _copy(model: OnnxModel, proto: onnx.ModelProto) -> OnnxModel:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return OnnxModel(copy, model.file, dict(model.memory))
