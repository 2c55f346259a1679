"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.backends.onnxruntime.convertible import ConvertibleOnnx
from prelu_tools.graph.io.reader import read_model

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Source
    from prelu_tools.core.options import SourceOptions


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read the skeleton of an ONNX file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is not ONNX.
    """
    return ConvertibleOnnx(path, read_model(path), label, options)
