"""Factors for the channels around a PReLU: the model computes the same, its channels are closer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from text_nets import save

from prelu_tools.graph.quantized.channels import equalize, negate

Array = NDArray[np.float32]
SIZES = np.float32([40, 1, 0.05, 7])
ENDS = "float[N,4,6,6] x", "float[] y"
PADS = "<pads = [1, 1, 1, 1]>"
BETWEEN = {
    "conv": ("x", f"c = Conv{PADS}(x, w, b)", "y = Conv(p, v)", (4, 4, 3, 3), (5, 4, 3, 3)),
    "groups": ("x", f"c = Conv{PADS}(x, w, b)", "y = Conv<group = 2>(p, v)", (4, 4, 3, 3),
               (6, 2, 3, 3)),
    "depthwise, twice as many": ("x", "c = Conv<group = 4>(x, w, b)", "y = Conv<group = 4>(p, v)",
                                 (4, 1, 1, 1), (8, 1, 3, 3)),
    "pooled": ("x", f"c = Conv{PADS}(x, w, b)",
               "q = MaxPool<kernel_shape = [2, 2]>(p) y = Conv(q, v)", (4, 4, 3, 3), (3, 4, 1, 1)),
    "averaged": ("x", f"c = Conv{PADS}(x, w, b)", "q = GlobalAveragePool(p) y = Conv(q, v)",
                 (4, 4, 3, 3), (3, 4, 1, 1)),
    "transposed convolution": ("x", f"c = Conv{PADS}(x, w, b)",
                               "y = ConvTranspose<group = 2>(p, v)", (4, 4, 3, 3), (4, 3, 2, 2)),
    "two readers": ("x", f"c = Conv{PADS}(x, w, b)",
                    "l = Conv(p, v) r = Conv(p, u) y = Concat<axis = 1>(l, r)", (4, 4, 3, 3),
                    (2, 4, 1, 1)),
    "rows": ("f", "c = Gemm<alpha = 0.5, beta = 2.0>(f, w, b)", "y = Gemm<transB = 1>(p, v)",
             (144, 4), (3, 4)),
    "rows, turned": ("f", "c = Gemm<transB = 1>(f, w, b)", "y = Gemm(p, v)", (4, 144), (4, 3)),
}  # fmt: skip
LEFT = {
    "added to": ("x", f"c = Conv{PADS}(x, w, b)", "y = Add(p, x)", (4, 4, 3, 3), (1,)),
    "read before it too": ("x", f"c = Conv{PADS}(x, w, b)",
                           "l = Conv(p, v) r = Conv(c, u) y = Add(l, r)", (4, 4, 3, 3),
                           (3, 4, 1, 1)),
    "an output": ("x", f"c = Conv{PADS}(x, w, b)", "y = Identity(p)", (4, 4, 3, 3), (1,)),
    "its weights are another's": ("x", f"c = Conv{PADS}(x, w, b)",
                                  f"l = Conv{PADS}(p, w) y = Conv(l, v)", (4, 4, 3, 3),
                                  (3, 4, 1, 1)),
    "flattened": ("x", f"c = Conv{PADS}(x, w, b)", "q = Flatten(p) y = Gemm(q, v)", (4, 4, 3, 3),
                  (144, 2)),
    "a bias for all": ("f", "c = Gemm(f, w, b1)", "y = Gemm(p, v)", (144, 4), (4, 3)),
}  # fmt: skip


def _net(path: Path, case: tuple[str, str, str, tuple[int, ...], tuple[int, ...]]) -> Path:
    start, before, behind, wide, narrow = case
    generator = np.random.default_rng(1)
    weight = generator.normal(size=wide).astype(np.float32)
    weight *= SIZES.reshape(1, 4) if wide == (144, 4) else SIZES.reshape(-1, *[1] * (len(wide) - 1))
    slopes = generator.normal(size=4 if start == "f" else (4, 1, 1)).astype(np.float32)
    flat = "f = Flatten(x) " if start == "f" else ""
    body = f"{flat}{before} p = PRelu(c, s) {behind}"
    rest = {name: generator.normal(size=narrow).astype(np.float32) for name in "vu"}
    bias = generator.normal(size=4).astype(np.float32)
    return save(path, body, *ENDS, w=weight, b=bias, s=slopes, b1=np.float32([0.5]), **rest)


def _run(proto: onnx.ModelProto, x: Array) -> tuple[Array, Array]:
    """The output, and the largest size of each channel behind the PReLU."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.graph.output.append(onnx.ValueInfoProto(name="p"))
    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    y, p = session.run(["y", "p"], {"x": x})
    return y, np.abs(p).max(axis=tuple(a for a in range(p.ndim) if a != 1))


@pytest.mark.parametrize("case", BETWEEN)
def test_channels_come_closer_and_the_model_computes_the_same(case: str, tmp_path: Path) -> None:
    proto = onnx.load(_net(tmp_path / "net.onnx", BETWEEN[case]))
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 6)).astype(np.float32)
    expected, before = _run(proto, x)
    assert equalize(proto, {"c": before}) == 1
    found, behind = _run(proto, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(np.log(behind)) < 0.6 * np.ptp(np.log(before))


@pytest.mark.parametrize("case", LEFT)
def test_what_others_read_is_left_as_it_is(case: str, tmp_path: Path) -> None:
    proto = onnx.load(_net(tmp_path / "net.onnx", LEFT[case]))
    before = proto.SerializeToString()
    assert equalize(proto, {"c": SIZES}) == 0
    assert proto.SerializeToString() == before


def test_a_channel_that_is_always_zero_keeps_its_weights_finite(tmp_path: Path) -> None:
    proto = onnx.load(_net(tmp_path / "net.onnx", BETWEEN["conv"]))
    assert equalize(proto, {"c": np.float32([1, 0, 2, 0])}) == 1
    tensors = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    assert np.isfinite(tensors["w"]).all()
    assert np.isfinite(tensors["v"]).all()
    nothing = onnx.load(_net(tmp_path / "nothing.onnx", BETWEEN["conv"]))
    assert equalize(nothing, {"c": np.zeros(4, np.float32)}) == 0


NEGATED = sorted(set(BETWEEN) - {"pooled"})


@pytest.mark.parametrize("case", NEGATED)
def test_slopes_above_1_become_their_inverse_and_the_model_computes_the_same(
    case: str, tmp_path: Path
) -> None:
    proto = onnx.load(_net(tmp_path / "net.onnx", BETWEEN[case]))
    tensors = {t.name: t for t in proto.graph.initializer}
    slopes = np.float32([1.5, -2, 0.25, 40]).reshape(tensors["s"].dims)
    tensors["s"].CopyFrom(numpy_helper.from_array(slopes, "s"))
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 6)).astype(np.float32)
    expected, _ = _run(proto, x)
    assert negate(proto) == 1
    found, _ = _run(proto, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    left = next(numpy_helper.to_array(t) for t in proto.graph.initializer if t.name == "s")
    np.testing.assert_array_equal(left.reshape(-1), np.float32([1 / 1.5, -2, 0.25, 1 / 40]))
    assert negate(proto) == 0


@pytest.mark.parametrize("case", [*LEFT, "pooled"])
def test_slopes_above_1_stay_where_another_sign_would_be_seen(case: str, tmp_path: Path) -> None:
    proto = onnx.load(_net(tmp_path / "net.onnx", {**LEFT, **BETWEEN}[case]))
    slopes = next(t for t in proto.graph.initializer if t.name == "s")
    above = np.full(slopes.dims, 1.5, np.float32)
    slopes.CopyFrom(numpy_helper.from_array(above, "s"))
    before = proto.SerializeToString()
    assert negate(proto) == 0
    assert proto.SerializeToString() == before


def test_one_slope_for_all_channels_negates_them_all_and_one_a_position_none(
    tmp_path: Path,
) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 6, 6)).astype(np.float32)
    for shape, layers in (((1, 1, 1), 1), ((4, 6, 6), 0), ((1, 6, 6), 0)):
        proto = onnx.load(_net(tmp_path / "net.onnx", BETWEEN["conv"]))
        slopes = next(t for t in proto.graph.initializer if t.name == "s")
        slopes.CopyFrom(numpy_helper.from_array(np.full(shape, 2.0, np.float32), "s"))
        expected, _ = _run(proto, x)
        assert negate(proto) == layers
        found, _ = _run(proto, x)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
