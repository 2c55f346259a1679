"""ONNX files as onnxruntime-web runs them: its WebAssembly build, in node."""

from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.backends.runtimes.onnxruntime_web.source import WebSource

__all__ = ["from_onnx", "installed"]

from_onnx = WebSource
