"""ncnn models (`net.param` and `net.bin`), and ONNX files that pnnx converts for it."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.runtimes.ncnn.source import ConvertedNcnn, NcnnSource
from prelu_tools.backends.runtimes.source import weights_beside
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read the two files; nothing is run yet.

    Raises:
        PReLUToolsError: they cannot be read, or are not ncnn's.
    """
    return NcnnSource(path, weights_beside(path), spelled, options)


def from_onnx(graph: OnnxGraph) -> Source:
    """What pnnx makes of an ONNX file.

    Raises:
        PReLUToolsError: ncnn or pnnx is not installed, or pnnx fails.
    """
    return ConvertedNcnn(graph)
