"""Marks for what other versions of a package do otherwise."""

from __future__ import annotations

import onnxruntime
import pytest

_RUNTIME = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])

infinities = pytest.mark.skipif(
    _RUNTIME < (1, 27), reason="onnxruntime: PRelu gives NaN for an infinity before 1.27"
)
slow_kernel = pytest.mark.skipif(
    _RUNTIME < (1, 27), reason="onnxruntime: its PRelu kernel is the fastest form before 1.27"
)
fused_add = pytest.mark.skipif(
    _RUNTIME < (1, 26), reason="onnxruntime: 1.24 changes no bits there (1.25 was not tried)"
)
