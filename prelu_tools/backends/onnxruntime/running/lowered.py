"""An ONNX file with an IR version that the installed onnxruntime cannot load yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.finish import IR_VERSION

if TYPE_CHECKING:
    from prelu_tools.backends.onnxruntime.running.session import Session


class LoweredSource(OnnxSource):
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
