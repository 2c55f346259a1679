"""Where a model may run: one list for `inspect`, `export` and `optimize`."""

from __future__ import annotations

from typing import Final, Literal, get_args

Runtime = Literal[
    "onnxruntime-cpu", "onnxruntime-cuda", "onnxruntime-web", "tensorrt", "openvino", "ncnn", "mnn",
    "litert", "coreml", "qnn",
]  # fmt: skip
"""A runtime that `inspect --target` and `export --target` know."""
RUNTIMES: Final[tuple[str, ...]] = get_args(Runtime)
ExportTarget = Literal[
    "portable", "onnxruntime-cpu", "onnxruntime-cuda", "onnxruntime-web", "tensorrt", "openvino",
    "ncnn", "mnn", "litert", "coreml", "qnn",
]  # fmt: skip
"""The same, and `portable` for a file that is right in most of them."""
EXPORT_TARGETS: Final[tuple[str, ...]] = get_args(ExportTarget)
RUNS_ONNX: Final = ("ncnn", "openvino", "mnn", "onnxruntime-web")
"""Those that `verify --runtime` runs ONNX files by, converted if need be."""
