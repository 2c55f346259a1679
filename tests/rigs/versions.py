"""Marks for what other versions of a package do otherwise."""

from __future__ import annotations

from importlib import metadata

import onnx
import onnxruntime
import pytest


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


_RUNTIME = _version(onnxruntime.__version__)

infinities = pytest.mark.skipif(
    _RUNTIME < (1, 27), reason="onnxruntime: PRelu gives NaN for an infinity before 1.27"
)
slow_kernel = pytest.mark.skipif(
    _RUNTIME < (1, 27), reason="onnxruntime: its PRelu kernel is the fastest form before 1.27"
)
fused_add = pytest.mark.skipif(
    _RUNTIME < (1, 26), reason="onnxruntime: 1.24 changes no bits there (1.25 was not tried)"
)
narrow_scales = pytest.mark.skipif(
    _RUNTIME < (1, 25), reason="onnxruntime: 1.24 takes no output_dtype (1.25 was not tried)"
)
newest_converter = pytest.mark.skipif(
    _version(onnx.__version__) < (1, 21), reason="onnx 1.20 knows opset 26, and raises none to it"
)


def takes_one_minus() -> bool:
    """Whether torch's newer exporter takes `1 - parameter`: 2.10 ends in an error of its own."""
    return _version(metadata.version("torch")) > (2, 10)
