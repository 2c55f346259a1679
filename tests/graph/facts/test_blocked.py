"""Which tensors onnxruntime keeps in blocks, compared with the graphs that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_text import model, view

from prelu_tools.graph.facts.blocked import is_blocked

CASES = [
    # channels in, filters, group; for blocks of 8 (AVX2) and of 16 (AVX-512)
    (3, 16, 1),
    (16, 16, 1),
    (16, 10, 1),
    (17, 16, 1),
    (16, 16, 16),
    (10, 10, 10),
    (28, 28, 1),
    (12, 12, 12),
    (24, 24, 2),
    (32, 32, 2),
]


def chain(n_inputs: int, n_filters: int, group: int) -> onnx.ModelProto:
    constants = {
        "w": np.ones((n_filters, n_inputs // group, 3, 3), np.float32),
        "a": np.linspace(-1, 1, n_filters, dtype=np.float32).reshape(-1, 1, 1),
    }
    text = f"c = Conv<group = {group}, pads = [1, 1, 1, 1]>(x, w) y = PRelu(c, a)"
    shapes = (f"float[1,{size},6,6] {name}" for size, name in ((n_inputs, "x"), (n_filters, "y")))
    return model(text, *shapes, constants)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_said_is_what_onnxruntime_does(case: tuple[int, int, int], tmp_path: Path) -> None:
    proto = chain(*case)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    written = onnx.load(tmp_path / "optimized.onnx", load_external_data=False).graph.node
    blocked = any(node.domain == "com.microsoft.nchwc" for node in written)
    assert is_blocked(view(proto), "c") == blocked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("c = Conv(x, w) r = Relu(c) y = Identity(r)", True),
        ("c = Conv(x, w) r = PRelu(c, a) d = Conv(r, v) y = Add(d, d)", True),
        ("c = Conv(x, w) r = Sigmoid(c) y = Neg(r)", False),
        ("y = Relu(x)", False),
    ],
)
def test_what_hands_the_layout_on(body: str, expected: bool) -> None:
    constants = {
        "w": np.ones((16, 16, 1, 1), np.float32),
        "v": np.ones((16, 16, 1, 1), np.float32),
        "a": np.ones((16, 1, 1), np.float32),
    }
    shapes = (f"float[1,16,6,6] {name}" for name in "xy")
    assert is_blocked(view(model(body, *shapes, constants)), "y") == expected


@pytest.mark.parametrize("spatial", ["7", "7,7,7"])
def test_only_pictures_are_blocked(spatial: str) -> None:
    rank = spatial.count(",") + 1
    constants = {"w": np.ones((16, 16, *[1] * rank), np.float32)}
    shapes = (f"float[1,16,{spatial}] {name}" for name in "xy")
    assert not is_blocked(view(model("y = Conv(x, w)", *shapes, constants)), "y")
