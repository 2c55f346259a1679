"""Moved copies of ONNX models: what they perturb, by how much, and what they leave as it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_text import model

from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.noise import REACH, SINGLE, Noise
from prelu_tools.graph.copies.perturbing import perturbed_model

N, C, T = 2, 2, 16000
X = f"float[{N},{C},T] x"
RNG = np.random.default_rng(0)
NOISY = RNG.uniform(0.5, 1.5, (N, C, T)).astype(np.float32)
FLAT = np.broadcast_to(np.float32([[[0.31], [1.7]], [[0.77], [1.31]]]), NOISY.shape)
PERIODIC = np.tile(np.float32([0.11, 0.73, 1.9, 0.37]), (N, C, T // 4))
PARTS = {
    "axis": np.array([2]),
    "all": np.array([1, 2]),
    "s": np.float32([1.25, 0.5]),
    "b": np.float32([0.5, -0.25]),
    "s_rows": RNG.uniform(0.5, 1.5, T).astype(np.float32),
    "b_rows": RNG.uniform(0.5, 1.5, T).astype(np.float32),
}


def run(proto: onnx.ModelProto, x: Array) -> Array:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.ascontiguousarray(x)})
    return np.asarray(found)


def proto_of(body: str, opset: int = 18) -> onnx.ModelProto:
    return model(body, X, "float y", constants=PARTS, opset=opset)


def perturbed(proto: onnx.ModelProto, x: Array, seed: int) -> Array:
    return run(perturbed_model(proto, {"x": x.shape}, Noise(seed)), x)


def farthest(proto: onnx.ModelProto, x: Array, runs: int = 4) -> float:
    """Of some perturbed runs, the largest change, relative to the largest value."""
    right = run(proto, x)
    off = max(float(np.abs(perturbed(proto, x, seed) - right).max()) for seed in range(runs))
    return off / float(np.abs(right).max())


SUMS = {
    "mean": "y = ReduceMean<keepdims = 0>(x, axis)",
    "all": "y = ReduceMean(x, all)",
    "columns": "t = Transpose<perm = [0, 2, 1]>(x) y = ReduceMean<keepdims = 0>(t, one_axis)",
    "sum": "y = ReduceSum(x, axis)",
    "pool": "y = GlobalAveragePool(x)",
    "squares": "y = ReduceSumSquare(x, axis)",
    "length": "y = ReduceL2(x, axis)",
    "sizes": "y = ReduceL1(x, axis)",
    "softmax": "y = Softmax(x)",
}
PARTS["one_axis"] = np.array([1])


@pytest.mark.parametrize("body", SUMS.values(), ids=SUMS)
def test_long_sums_of_repeated_values_are_expected_to_round_alike(body: str) -> None:
    proto = proto_of(body)
    expected = farthest(proto, NOISY)
    assert farthest(proto, FLAT) > 1.5 * expected
    assert farthest(proto, PERIODIC) > 1.3 * expected


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_axes_may_be_attributes_and_inputs(opset: int) -> None:
    proto = proto_of("y = ReduceMean<axes = [2]>(x)" if opset < 18 else SUMS["mean"], opset)
    assert farthest(proto, FLAT) > 2 * farthest(proto, NOISY)


@pytest.mark.parametrize("value", [0.0, np.inf, -np.inf])
def test_sums_that_are_no_numbers_or_nothing_stay_so(value: float) -> None:
    proto = proto_of(SUMS["mean"])
    x = np.full_like(NOISY, value)
    np.testing.assert_array_equal(perturbed(proto, x, 0), run(proto, x))


NORMS = {
    "instance": ("y = InstanceNormalization(x, s, b)", 18),
    "layer": ("y = LayerNormalization(x, s_rows, b_rows)", 18),
    "layer-all": ("y = LayerNormalization<axis = 1>(x, s_rows)", 18),
    "group": ("y = GroupNormalization<num_groups = 2>(x, s, b)", 18),
    "group-by-channel": ("y = GroupNormalization<num_groups = 1>(x, s, b)", 21),
}


@pytest.mark.parametrize(("body", "opset"), NORMS.values(), ids=NORMS)
def test_norms_are_moved_a_little(body: str, opset: int) -> None:
    """They are written as sums, with their scale and bias."""
    proto = proto_of(body, opset)
    assert 0 < farthest(proto, NOISY) < 4000 * SINGLE


@pytest.mark.parametrize(("body", "opset"), NORMS.values(), ids=NORMS)
def test_the_mean_of_a_flat_map_is_off_for_all_of_a_group(body: str, opset: int) -> None:
    proto = proto_of(body, opset)
    flat = np.full_like(NOISY, 1.37)
    right = {"b_rows": PARTS["b_rows"], " b)": PARTS["b"][:, None]}
    (expected,) = [b for names, b in right.items() if names in body] or [0.0]
    change = np.abs(perturbed(proto, flat, 1) - expected).mean()
    units = change * np.sqrt(1e-5) / (1.37 * SINGLE / 2 * REACH)
    assert units > 10  # half units of the mean, beside what perturbs each value


def test_a_double_is_moved_by_its_own_units() -> None:
    body = "d = Cast<to = 11>(x) m = ReduceMean(d, axis) n = Sub(m, m) y = Cast<to = 1>(n)"
    found = perturbed(proto_of(body), FLAT, 0)
    assert np.abs(found).max() < 1e-12
