"""Copies of a quantized graph with its rounding put back: ends of ranges, noise, and weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import Array, parsed, run, whole
from onnx import numpy_helper

from prelu_tools.graph.quantized.meaning import Meaning, meaning_of
from prelu_tools.graph.quantized.rounding import with_perturbed_weights, with_rounding

VALUES = {
    "s": np.float32(0.25),
    "z": np.uint8(100),
    "wide": np.float32(4.0),
    "z0": np.uint8(0),
    "w_quantized": np.array([[100, -50, 7], [1, 2, 0]], np.int8),
    "w_scale": np.float32([0.5, 4, 1]),
}
TEXT = """<ir_version: 9, opset_import: ["": 21]>
    graph (float[N,3] x) => (float[N,3] y, float[N,3] v)
    { q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z)
      r = QuantizeLinear(a, wide, z0) b = DequantizeLinear(r, wide, z0)
      w = DequantizeLinear<axis = 1>(w_quantized, w_scale) t = ReduceMax<keepdims = 0>(w)
      y = Add(a, t) v = Mul(b, t) }"""


def _meaning() -> Meaning:
    found = meaning_of(whole(parsed(TEXT, VALUES)))
    assert found is not None
    return found


def _outputs(proto: onnx.ModelProto, x: Array) -> list[Array]:
    onnx.checker.check_model(proto, full_check=True)
    y, v = run(proto, x=x)
    return [y - 50, v / 50]


def test_without_a_seed_ranges_only_end() -> None:
    meaning, x = _meaning(), np.float32([[-100, 1.3, 100], [-25, 38.75, 0.1]])
    before = meaning.model.proto.SerializeToString()
    a, b = _outputs(with_rounding(meaning, None), x)
    np.testing.assert_allclose(a, np.clip(x, -25, 38.75), atol=1e-5)
    np.testing.assert_allclose(b, np.clip(x, 0, 38.75), atol=1e-5)
    assert meaning.model.proto.SerializeToString() == before
    assert meaning.rounded == ("q", "r")


def test_noise_is_as_large_as_half_a_step_and_other_for_each_seed_and_place() -> None:
    meaning, x = _meaning(), np.full((4000, 3), 10, np.float32)
    first, again, other = (_outputs(with_rounding(meaning, seed), x) for seed in (0, 0, 1))
    for found in (first, other):
        near, far = found[0] - x, found[1] - found[0]
        assert 0.124 < near.max() <= 0.1251
        assert -0.1251 <= near.min() < -0.124
        assert abs(near.mean()) < 0.01
        assert 1.98 < far.max() <= 2.001
        assert -2.001 <= far.min() < -1.98
        assert abs(np.corrcoef(near.reshape(-1), far.reshape(-1))[0, 1]) < 0.1
    assert all(map(np.array_equal, first, again))
    assert abs(np.corrcoef((first[0] - x).reshape(-1), (other[0] - x).reshape(-1))[0, 1]) < 0.1


def test_noise_stays_within_the_range() -> None:
    x = np.full((1000, 3), -25, np.float32)
    a, _ = _outputs(with_rounding(_meaning(), 3), x)
    assert a.min() == pytest.approx(-25, abs=1e-5)
    assert -24.9 < a.max() <= -24.87


def test_no_two_places_and_draws_have_one_seed() -> None:
    seeds = [
        attribute.f
        for draw in range(16)
        for node in with_rounding(_meaning(), draw).graph.node
        for attribute in node.attribute
        if attribute.name == "seed"
    ]
    assert len(set(seeds)) == 32
    assert all(0 <= seed < 2**24 for seed in seeds)
    assert max(seeds) > 2**23


def test_weights_move_by_half_of_their_own_step() -> None:
    meaning = _meaning()
    (weight,) = meaning.steps.values()
    moved = []
    for seed in range(60):
        proto = with_perturbed_weights(meaning, seed)
        onnx.checker.check_model(proto, full_check=True)
        (tensor,) = (t for t in proto.graph.initializer if t.name == "w")
        moved.append(numpy_helper.to_array(tensor) - weight.values)
        assert [node.op_type for node in proto.graph.node].count("DequantizeLinear") == 0
        assert moved[-1].dtype == np.float32
    off = np.stack(moved)
    assert np.abs(off).max(axis=(0, 1)) == pytest.approx([0.25, 2, 0.5], rel=0.05)
    assert (np.abs(off) <= np.float32([0.25, 2, 0.5]) * 1.001).all()
    assert np.abs(off.mean(axis=(0, 1)) / [0.25, 2, 0.5]).max() < 0.2
    assert len({each.tobytes() for each in moved}) == 60
    drawn = np.random.default_rng(7).random((2, 3), np.float32) - 0.5
    np.testing.assert_allclose(moved[7], drawn * [0.5, 4, 1], atol=1e-5)
    again = with_perturbed_weights(meaning, 7).graph.initializer[-1]
    assert np.array_equal(numpy_helper.to_array(again) - weight.values, moved[7])
