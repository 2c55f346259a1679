"""Inputs of models, as a source states them."""

from __future__ import annotations

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.options import Dim


def spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    """An input; in the example a batch is 1, and every other free size 2."""
    example = tuple(d if isinstance(d, int) else 1 if d == "batch" else 2 for d in shape)
    return TensorSpec(name, dtype, shape, example)
