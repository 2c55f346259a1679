"""ONNX files as onnxruntime-web runs them: its WebAssembly build, in node."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.interface import OnnxGraph, Source
from prelu_tools.backends.onnxruntime_web.installed import installed
from prelu_tools.backends.onnxruntime_web.source import WebSource
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SourceOptions

__all__ = ["from_file", "from_object", "from_onnx", "installed"]


def from_onnx(graph: OnnxGraph) -> Source:
    """An ONNX file as onnxruntime-web runs it; nothing is converted.

    Raises:
        PReLUToolsError: node or onnxruntime-web is not installed.
    """
    return WebSource(graph)


def from_file(_path: Path, spelled: str, _options: SourceOptions) -> Source:
    """It has no format of its own.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"{spelled}: onnxruntime-web runs ONNX files: use --runtime onnxruntime-web")


def from_object(
    model: object, spelled: str, weights: Path | None, options: SourceOptions
) -> Source:
    """No live object is one.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"{spelled} is a {type(model).__name__}: expected a path to an .onnx file")
