"""PReLU in words that no list foresees: recognised by what onnxruntime computes for it."""

from __future__ import annotations

import numpy as np
import pytest
from graph_text import COLUMN, IMAGE, SLOPES, fused_one, match_one, matches, model

CONSTANTS = {
    "a_above": 1 + COLUMN,
    "a_half_above": (1 + COLUMN) / 2,
    "a_half_below": (1 - COLUMN) / 2,
    "a_below": 1 - COLUMN,
    "w_two": np.full((3, 1, 1, 1), -2, np.float32),
    "joined": np.concatenate([np.ones((3, 1, 1)), -COLUMN]).astype(np.float32),
    "minus": np.float32(-1.0),
    "axis": np.array([4]),
    "lowest": np.finfo(np.float32).min,
    "exponent": np.float32(2),
}
EXACT = {
    "a factor chosen by the sign": "c = Less(x, zero) f = Where(c, a, one) y = Mul(x, f)",
    "masks that add up to one": "c = Greater(x, zero) m = Cast<to = 1>(c) n = Sub(one, m) "
    "u = Mul(m, x) s = Mul(n, a) v = Mul(s, x) y = Add(u, v)",
    "a mask of doubles": "c = Greater(x, zero) m = Cast<to = 11>(c) k = Cast<to = 1>(m) "
    "n = Sub(one, k) u = Mul(k, x) s = Mul(x, a) v = Mul(n, s) y = Add(v, u)",
    "conv-tasnet": "p = Relu(x) d = Sub(x, p) s = Mul(d, a_negated) y = Sub(p, s)",
    "the whole and what is added": "q = Min(x, zero) s = Mul(q, a_below) y = Sub(x, s)",
    "a sign": "g = Sign(x) h = Mul(g, half) i = Add(h, half) j = Sub(one, i) k = Mul(j, a) "
    "l = Add(i, k) y = Mul(x, l)",
    "half of the sum": "u = Mul(x, a_half_above) b = Abs(x) v = Mul(b, a_half_below) y = Add(u, v)",
    "a half behind it": "u = Mul(x, a_above) b = Abs(x) v = Mul(b, a_below) s = Add(u, v) "
    "y = Mul(s, half)",
    "crelu": "n = Neg(x) c = Concat<axis = 1>(x, n) r = Relu(c) "
    "p, q = Split<axis = 1, num_outputs = 2>(r) s = Mul(q, a) y = Sub(p, s)",
    "crelu, scaled as one": "n = Neg(x) c = Concat<axis = 1>(x, n) r = Relu(c) m = Mul(r, joined) "
    "p, q = Split<axis = 1, num_outputs = 2>(m) y = Add(p, q)",
    "casts between": "p = Relu(x) c = Cast<to = 1>(p) n = Neg(x) d = Cast<to = 1>(n) q = Relu(d) "
    "s = Mul(q, a_negated) e = Cast<to = 1>(s) y = Add(c, e)",
    "a sum of three": "p = Relu(x) q = Min(x, zero) s = Mul(q, a_half) y = Sum(s, p, s)",
    "a mean": "p = Relu(x) q = Min(x, zero) s = Mul(q, a) b = Add(p, p) c = Add(s, s) "
    "y = Mean(b, c)",
    "an axis more": "u = Unsqueeze(x, axis) p = Relu(u) v = Squeeze(p, axis) q = Min(x, zero) "
    "s = Mul(q, a) y = Add(v, s)",
    "a limit that is none": "p = Clip(x, zero) q = Clip(x, lowest, zero) s = Mul(q, a) "
    "y = Add(p, s)",
    "equal or less": "c = Less(x, zero) e = Equal(x, zero) o = Or(c, e) s = Mul(x, a) "
    "y = Where(o, s, x)",
    "leaky relu in it": "l = LeakyRelu<alpha = 0.0>(x) q = Sub(x, l) s = Mul(q, a) y = Add(l, s)",
    "thresholded relu": "p = ThresholdedRelu<alpha = 0.0>(x) q = Sub(x, p) s = Mul(q, a) "
    "y = Add(p, s)",
    "two conditions": "c = Greater(x, zero) s = Mul(x, a) u = Where(c, x, zero) d = Not(c) "
    "v = Where(d, s, zero) y = Add(u, v)",
    "zeros like it": "d = Shape(x) o = ConstantOfShape(d) c = Greater(x, o) s = Mul(x, a) "
    "y = Where(c, x, s)",
    "part of the shape": "d = Shape<start = 1>(x) o = Expand(zero, d) p = Max(x, o) "
    "q = Min(x, o) s = Mul(q, a) y = Add(p, s)",
    "a negation at the end": "p = Relu(x) q = Min(x, zero) s = Mul(q, a) t = Neg(p) u = Sub(t, s) "
    "y = Neg(u)",
    "a difference from zero": "p = Relu(x) n = Sub(zero, x) q = Relu(n) s = Mul(q, a_negated) "
    "y = Add(p, s)",
    "a bias of zeros": "p = Relu(x) n = Add(x, zeros) q = Min(n, zero) s = Mul(q, a) y = Add(p, s)",
}  # fmt: skip
OTHER_SLOPES = {
    "x and its negative part": ("p = Min(x, infinity) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
                                1 + SLOPES),
    "|x| - x": ("p = Relu(x) b = Abs(x) q = Sub(b, x) s = Mul(q, a) y = Add(p, s)", -2 * SLOPES),
    "subtracted": ("p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Sub(p, s)", -SLOPES),
    "twice": ("p = Relu(x) t = Neg(two) n = Mul(x, t) q = Relu(n) s = Mul(q, a) y = Add(p, s)",
              -2 * SLOPES),
    "the largest of three": ("s = Mul(x, a) y = Max(x, s, zero)", np.minimum(SLOPES, 0)),
    "a kernel of minus two": ("p = Relu(x) n = Conv<group = 3>(x, w_two) q = Relu(n) "
                              "s = Conv<group = 3>(q, w_negated) y = Add(p, s)", 2 * SLOPES),
}  # fmt: skip


def _holds(body: str, slopes: np.ndarray) -> None:
    found = fused_one(model(body, constants=CONSTANTS))
    assert (found.x, found.node.output[0]) == ("x", "y")
    assert found.slopes.ravel().tolist() == slopes.tolist()
    assert found.slopes.shape[-3:] == (3, 1, 1)


@pytest.mark.parametrize("body", [pytest.param(b, id=name) for name, b in EXACT.items()])
def test_what_computes_prelu_is_prelu(body: str) -> None:
    _holds(body, SLOPES)


@pytest.mark.parametrize(("body", "slopes"), OTHER_SLOPES.values(), ids=OTHER_SLOPES.keys())
def test_the_slope_is_what_it_answers(body: str, slopes: np.ndarray) -> None:
    _holds(body, slopes)


def test_slopes_of_zero_are_slopes() -> None:
    zeros = np.zeros((3, 1, 1), np.float32)
    body = "u = Add(x, b) b = Abs(x) v = Mul(x, z_) w = Mul(b, z_) s = Add(u, v) t = Sub(s, w) "
    proto = model(f"{body} y = Mul(t, half)", constants={"z_": zeros})
    found = match_one(proto)
    assert (found.x, found.parameter, found.slopes.shape) == ("x", "z_", (3, 1, 1))
    assert not found.slopes.any()


ROUNDED = np.array([0.1, -0.7, 1.3], np.float32).reshape(3, 1, 1)


@pytest.mark.parametrize(
    ("body", "rounds"),
    [
        ("p = Relu(x) q = Min(x, zero) s = Mul(q, r) y = Add(p, s)", False),
        ("u = Mul(x, above) b = Abs(x) v = Mul(b, below) y = Add(u, v)", True),
        ("p = Relu(x) q = Min(x, zero) t = Mul(q, third) s = Mul(t, r) y = Add(p, s)", True),
    ],
)
def test_it_is_said_what_is_equal_up_to_rounding_only(body: str, rounds: bool) -> None:
    constants = {"r": ROUNDED, "above": (1 + ROUNDED) / 2, "below": (1 - ROUNDED) / 2,
                 "third": np.float32(1 / 3)}  # fmt: skip
    found = match_one(model(body, constants=constants))
    assert found.rounds == rounds


NOT = {
    "relu of a product by one": "s = Mul(x, minus_ones) n = Neg(s) y = Relu(n)",
    "relu, scaled by one": "r = Relu(x) y = Mul(r, one)",
    "relu by cancelling": "b = Abs(x) d = Sub(x, b) h = Mul(d, half) y = Sub(x, h)",
    "a leaky relu": "y = LeakyRelu<alpha = 0.25>(x)",
    "a leaky relu behind a scale of ones": "s = Mul(x, minus_ones) n = Neg(s) y = LeakyRelu(n)",
    "the other side": "p = Relu(x) s = Mul(p, a) q = Min(x, zero) y = Add(s, q)",
    "squares": "p = Relu(x) m = Mul(x, x) q = Min(x, zero) s = Mul(q, m) t = Mul(s, a) "
    "y = Add(p, t)",
    "a root of a square": "m = Pow(x, exponent) b = Sqrt(m) d = Sub(x, b) s = Mul(d, a_half) "
    "p = Relu(x) y = Add(p, s)",  # |x|, but for what overflows
    "whole numbers": "p = Relu(x) f = Floor(x) q = Min(f, zero) s = Mul(q, a) y = Add(p, s)",
    "a reduction": "m = ReduceMax(x) p = Relu(x) q = Min(m, zero) s = Mul(q, a) y = Add(p, s)",
}


@pytest.mark.parametrize("body", [pytest.param(b, id=name) for name, b in NOT.items()])
def test_what_does_not_compute_it_is_none(body: str) -> None:
    square = "float[N,3,4,4]"
    assert matches(model(body, f"{square} x", f"{square} y", constants=CONSTANTS)) == []


def test_what_is_behind_a_prelu_is_no_part_of_it() -> None:
    proto = model(
        "p = Relu(x) q = Min(x, zero) s = Mul(q, a) u = Add(p, s) v = Min(u, six) w = Mul(v, two) "
        "y = Max(v, w)", f"{IMAGE} x"
    )  # fmt: skip
    assert [(m.x, m.node.output[0]) for m in matches(proto)] == [("x", "u")]
