"""ONNX files as onnxruntime-web runs them: its WebAssembly build, in node."""

from __future__ import annotations

from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.backends.runtimes.onnxruntime_web.source import WebSource

__all__ = ["from_onnx", "installed"]


def from_onnx(graph: OnnxGraph) -> Source:
    """An ONNX file as onnxruntime-web runs it; nothing is converted.

    Raises:
        PReLUToolsError: node or onnxruntime-web is not installed.
    """
    return WebSource(graph)
