"""MNN models (`net.mnn`), and ONNX files that MNN's converter reads."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.runtimes.mnn.source import ConvertedMnn, MnnSource
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read a file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is not an MNN model.
    """
    return MnnSource(path, spelled, options)


def from_onnx(graph: OnnxGraph) -> Source:
    """What MNN's converter makes of an ONNX file.

    Raises:
        PReLUToolsError: MNN is not installed, or refuses it.
    """
    return ConvertedMnn(graph)
