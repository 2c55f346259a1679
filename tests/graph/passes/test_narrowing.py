"""Convolutions that TensorFlow gave a second dimension have one again; what is computed stays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import Array, model, numbers, operators, run
from onnx import checker

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.cleaning.narrowing import narrow_convolutions

CONSTANTS: Mapping[str, Array | float] = {
    "first": np.array([1]),
    "second": np.array([2]),
    "third": np.array([-1]),
    "k": (np.arange(27) - 13).reshape(3, 3, 1, 3).astype(np.float32) / 8,
    "single": (np.arange(9) - 4).reshape(3, 3, 1, 1).astype(np.float32) / 4,
    "tall": np.ones((3, 3, 2, 1), np.float32),
}
LAST, FIRST = "float[N,8,3] x", "float[N,3,8] x"


def _narrowed(body: str, inputs: str, outputs: str) -> onnx.ModelProto:
    """The graph after the pass, which computes what it did before."""
    original = model(body, inputs, outputs, CONSTANTS)
    found = OnnxModel(onnx.ModelProto.FromString(original.SerializeToString()), None)
    narrow_convolutions(found)
    checker.check_model(found.proto, full_check=True)
    x = numbers(2, 8, 3) if inputs == LAST else numbers(2, 3, 8)
    for before, after in zip(run(original, x=x), run(found.proto, x=x), strict=True):
        assert np.array_equal(before, after)
    return found.proto


@pytest.mark.parametrize(
    ("window", "size"),
    [
        ("c = Conv<pads=[0,1,0,1], strides=[1,2]>(u, k)", 4),
        ("c = Conv<strides=[3,2]>(u, k)", 3),
        ("c = Conv<dilations=[1,2], kernel_shape=[1,3]>(u, k)", 4),
        ('c = Conv<auto_pad="SAME_UPPER">(u, k)', 8),
        ("d = Conv<pads=[0,1,0,1]>(u, k) c = Conv(d, single)", 8),
        ("c = MaxPool<kernel_shape=[1,2], strides=[1,2]>(u)", 4),
        ("c = AveragePool<kernel_shape=[1,3], pads=[0,1,0,1], count_include_pad=1>(u)", 8),
    ],
)
def test_what_has_a_window_loses_the_dimension(window: str, size: int) -> None:
    body = f"u = Unsqueeze(x, second) {window} s = Squeeze(c, second) y = Relu(s)"
    found = _narrowed(body, FIRST, f"float[N,3,{size}] y")
    assert not {"Unsqueeze", "Squeeze"} & set(operators(found))


def test_a_transpose_between_is_one_of_three_axes() -> None:
    body = (
        "u = Unsqueeze(x, first) t = Transpose<perm=[0,3,1,2]>(u) c = Conv(t, k) "
        "b = Transpose<perm=[0,2,3,1]>(c) s = Squeeze(b, first) y = Relu(s)"
    )
    found = _narrowed(body, LAST, "float[N,6,3] y")
    assert operators(found) == ["Transpose", "Conv", "Transpose", "Relu"]


@pytest.mark.parametrize(
    ("body", "outputs", "kinds"),
    [
        # A window that is larger than 1 along the dimension, and what it is given beside it.
        ("u = Unsqueeze(x, second) p = Pad(u, rows) c = Conv(p, tall) y = Squeeze(c, second)",
         "float[N,3,8] y", ["Unsqueeze", "Pad", "Conv", "Squeeze"]),
        ("u = Unsqueeze(x, second) c = Conv<pads=[1,0,0,0]>(u, tall) y = Squeeze(c, second)",
         "float[N,3,8] y", ["Unsqueeze", "Conv", "Squeeze"]),
        # What is read with the dimension has it, and once.
        ("u = Unsqueeze(x, second) c = Conv(u, single) y = Relu(c) z = Neg(c)",
         "float[N,3,1,8] y, float[N,3,1,8] z", ["Conv", "Unsqueeze", "Relu", "Neg"]),
        # Another dimension is taken away than was given.
        ("u = Unsqueeze(x, second) c = Conv(u, single) t = Transpose<perm=[0,2,1,3]>(c) "
         "y = Squeeze(t, first)",
         "float[N,3,8] y", ["Conv", "Transpose", "Unsqueeze", "Squeeze"]),
        ("y = Unsqueeze(x, third)", "float[N,3,8,1] y", ["Unsqueeze"]),
    ],
)  # fmt: skip
def test_what_needs_the_dimension_keeps_it(body: str, outputs: str, kinds: list[str]) -> None:
    constants = {**CONSTANTS, "rows": np.array([0, 0, 1, 0, 0, 0, 0, 0])}
    original = model(body, FIRST, outputs, constants)
    found = OnnxModel(onnx.ModelProto.FromString(original.SerializeToString()), None)
    narrow_convolutions(found)
    checker.check_model(found.proto, full_check=True)
    assert operators(found.proto) == kinds
    x = numbers(2, 3, 8)
    for before, after in zip(run(original, x=x), run(found.proto, x=x), strict=True):
        assert np.array_equal(before, after)
