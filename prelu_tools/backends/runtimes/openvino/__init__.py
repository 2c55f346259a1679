"""OpenVINO models (`net.xml` and `net.bin`), and ONNX files that OpenVINO reads."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.runtimes.openvino.source import ConvertedOpenVino, OpenVinoSource
from prelu_tools.backends.runtimes.source import weights_beside
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read the two files; nothing is run yet.

    Raises:
        PReLUToolsError: they cannot be read, or are not OpenVINO's.
    """
    return OpenVinoSource(path, weights_beside(path), spelled, options)


def from_onnx(graph: OnnxGraph) -> Source:
    """What OpenVINO makes of an ONNX file.

    Raises:
        PReLUToolsError: OpenVINO is not installed, or refuses it.
    """
    return ConvertedOpenVino(graph)
