"""What resembles PReLU and is not: a wrong recognition would change the model without a word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graph_text import IMAGE, SLOPES, matches, model, whole

from prelu_tools.graph.passes.canonical import fuse_prelus

IMAGES = f"{IMAGE} x, {IMAGE} z"
ONE_WRONG = np.array([0.0, 0.0, 1e-6], np.float32).reshape(3, 1, 1)

BUTTERFLY = "p = Relu(x) n = Neg({}) q = Relu(n) s = Mul(q, a) y = {}"
OTHER_TENSOR = {
    "prelu": "n = PRelu(x, z) y = Neg(n)",
    "relu_neg": BUTTERFLY.format("z", "Add(p, s)"),
    "relu_sub": BUTTERFLY.format("z", "Sub(p, s)"),
    "where, condition": "c = Greater(z, zero) s = Mul(x, a) y = Where(c, x, s)",
    "where, branch": "c = Greater(x, zero) s = Mul(z, a) y = Where(c, x, s)",
    "where, other branch": "c = Greater(x, zero) s = Mul(x, a) y = Where(c, z, s)",
    "where_mask": (
        "c = Greater(x, zero) d = Not(c) m = Cast<to = 1>(c) k = Cast<to = 1>(d) "
        "s = Mul(z, a) u = Mul(m, x) v = Mul(k, s) y = Add(u, v)"
    ),
    "max_min": "p = Relu(x) q = Min(z, zero) s = Mul(q, a) y = Add(p, s)",
    "max_min, zeros of": "d = Shape(z) o = Expand(zero, d) p = Max(x, o) q = Min(x, o) "
    "s = Mul(q, a) y = Add(p, s)",
    "clip": "p = Relu(x) q = Clip(z, , zero) s = Mul(q, a) y = Add(p, s)",
    "abs, outside": "p = Relu(x) b = Abs(z) q = Sub(x, b) s = Mul(q, a) y = Add(p, s)",
    "abs, inside": "p = Relu(x) b = Abs(x) q = Sub(z, b) s = Mul(q, a) y = Add(p, s)",
    "max": "s = Mul(z, a) y = Max(x, s)",
    "linear": "p = Relu(x) r = Mul(p, a_rest) s = Mul(a, z) y = Add(r, s)",
    "depthwise": (
        "p = Relu(x) n = Conv<group = 3>(z, w_minus_one) q = Relu(n) "
        "s = Conv<group = 3>(q, w_negated) y = Add(p, s)"
    ),
}
NOT_ZERO = {
    "positive part": "p = Max(x, {0}) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "negative part": "p = Relu(x) q = Min(x, {0}) s = Mul(q, a) y = Add(p, s)",
    "condition": "c = Greater(x, {0}) s = Mul(x, a) y = Where(c, x, s)",
    "turned condition": "c = Less({0}, x) s = Mul(x, a) y = Where(c, x, s)",
    "negative condition": "c = Less(x, {0}) s = Mul(x, a) y = Where(c, s, x)",
}
CUT_ELSEWHERE = {
    "below": "p = Clip(x, tiny) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "above": "p = Relu(x) q = Clip(x, , tiny) s = Mul(q, a) y = Add(p, s)",
    "at six too": "p = Clip(x, zero, six) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "at minus one too": "p = Relu(x) q = Clip(x, minus_one, zero) s = Mul(q, a) y = Add(p, s)",
    "nowhere": "p = Relu(x) q = Clip(x) s = Mul(q, a) y = Add(p, s)",
    "at six too, as min": "u = Max(x, zero) p = Min(u, six) q = Min(x, zero) s = Mul(q, a) "
    "y = Add(p, s)",
    "at the wrong infinity": "u = Max(x, zero) p = Min(u, minus_infinity) q = Min(x, zero) "
    "s = Mul(q, a) y = Add(p, s)",
    "widened ones": "d = Shape(x) o = Expand(one, d) p = Max(x, o) q = Min(x, o) s = Mul(q, a) "
    "y = Add(p, s)",
    "by the input": "m = ReduceMax<keepdims = 0>(x) p = Clip(x, m) q = Min(x, zero) "
    "s = Mul(q, a) y = Add(p, s)",
}
COMPUTED_SLOPE = {
    "prelu": "g = Sigmoid(x) y = PRelu(x, g)",
    "prelu, of an input": "y = PRelu(x, z)",
    "relu_neg": "g = Sigmoid(x) p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, g) y = Add(p, s)",
    "where": "g = Sigmoid(x) c = Greater(x, zero) s = Mul(x, g) y = Where(c, x, s)",
    "max_min": "g = Sigmoid(z) p = Relu(x) q = Min(x, zero) s = Mul(q, g) y = Add(p, s)",
    "max": "g = Sigmoid(x) s = Mul(x, g) y = Max(x, s)",
    "half constant": "g = Sigmoid(x) h = Mul(g, a) p = Relu(x) q = Min(x, zero) s = Mul(q, h) "
    "y = Add(p, s)",
    "constant behind it": "g = Sigmoid(x) p = Relu(x) q = Min(x, zero) h = Mul(q, a) "
    "s = Mul(h, g) y = Add(p, s)",
}
WRONG_SIGN = {
    "relu_sub turned": "p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, a) y = Sub(s, p)",
    "relu_neg without minus": "p = Relu(x) q = Relu(x) s = Mul(q, a) y = Add(p, s)",
    "where exchanged": "c = Greater(x, zero) s = Mul(x, a) y = Where(c, s, x)",
    "where exchanged, negative": "c = Less(x, zero) s = Mul(x, a) y = Where(c, x, s)",
    "where exchanged, not": "c = Less(x, zero) d = Not(c) s = Mul(x, a) y = Where(d, s, x)",
    "where, turned comparison": "c = Greater(zero, x) s = Mul(x, a) y = Where(c, x, s)",
    "masks exchanged": "c = Less(x, zero) d = Not(c) m = Cast<to = 1>(c) k = Cast<to = 1>(d) "
    "s = Mul(x, a) u = Mul(m, x) v = Mul(k, s) y = Add(u, v)",
    "one mask twice": "c = Less(x, zero) m = Cast<to = 1>(c) s = Mul(x, a) u = Mul(m, x) "
    "v = Mul(m, s) y = Add(u, v)",
    "divided the wrong way": "p = Relu(x) q = Min(x, zero) s = Div(a, q) y = Add(p, s)",
    "min for max": "s = Mul(x, a) y = Min(x, s)",
}
NO_SLOPE = {
    "relu_sub": "p = Relu(x) n = Neg(x) q = Relu(n) y = Sub(p, q)",
    "max_min": "p = Relu(x) q = Min(x, zero) y = Add(p, q)",
    "max": "n = Neg(x) y = Max(x, n)",
    "sum": "s = Mul(x, a) y = Add(x, s)",
    "of constants": "y_ = PRelu(zeros, a) y = Add(x, y_)",
}
NOT_DEPTHWISE = {
    "wide kernel": "Conv<group = 3, pads = [1, 1, 1, 1]>(q, w_wide)",
    "padded": "Conv<group = 3, pads = [0, 0, 0, 1]>(q, w_negated)",
    "strided": "Conv<group = 3, strides = [1, 2]>(q, w_negated)",
    "with bias": "Conv<group = 3>(q, w_negated, bias)",
    "mixing channels": "Conv(q, w_dense)",
    "two a group": "Conv<group = 3>(q, w_double)",
}
NOT_NEGATED = {
    "one channel only": "Conv<group = 3>(x, w_one_wrong)",
}
WEIGHTS = {
    "w_wide": np.full((3, 1, 3, 3), -0.5, np.float32),
    "bias": np.ones(3, np.float32),
    "w_dense": np.ones((3, 3, 1, 1), np.float32),
    "w_double": np.ones((6, 1, 1, 1), np.float32),
    "w_two": np.full((3, 1, 1, 1), -2, np.float32),
    "w_one_wrong": np.array([-1, -1, 1], np.float32).reshape(3, 1, 1, 1),
}


def _bodies(family: dict[str, str]) -> list[object]:
    return [pytest.param(body, id=name) for name, body in family.items()]


def _refused(body: str, **constants: object) -> None:
    """Nothing is found, and nothing is fused."""
    proto = model(body, IMAGES, f"{IMAGE} y", {**WEIGHTS, **constants})  # type: ignore[dict-item]
    before = proto.SerializeToString()
    assert matches(proto) == []
    fuse_prelus(whole(proto), lambda _: True)
    assert proto.SerializeToString() == before


@pytest.mark.parametrize("body", _bodies(OTHER_TENSOR))
def test_two_tensors_where_one_belongs(body: str) -> None:
    _refused(body)


@pytest.mark.parametrize("limit", ["tiny", "one_wrong", "nan"])
@pytest.mark.parametrize("body", _bodies(NOT_ZERO))
def test_a_zero_that_is_not_zero(body: str, limit: str) -> None:
    _refused(body.format(limit), one_wrong=ONE_WRONG, nan=np.float32("nan"))


@pytest.mark.parametrize("body", _bodies(CUT_ELSEWHERE))
def test_a_cut_elsewhere(body: str) -> None:
    _refused(body)


@pytest.mark.parametrize("body", _bodies(COMPUTED_SLOPE))
def test_a_slope_that_is_computed_from_the_input(body: str) -> None:
    _refused(body)


@pytest.mark.parametrize("body", _bodies(WRONG_SIGN))
def test_a_wrong_sign_or_side(body: str) -> None:
    _refused(body)


@pytest.mark.parametrize("body", _bodies(NO_SLOPE))
def test_nothing_learned(body: str) -> None:
    _refused(body)


@pytest.mark.parametrize("value", [1.0000001, 3.0, math.nan, math.inf])
def test_max_with_a_slope_above_one(value: float) -> None:
    slopes = np.array([0.5, value, -1.0], np.float32).reshape(3, 1, 1)
    _refused("s = Mul(x, b) y = Max(x, s)", b=slopes)


@pytest.mark.parametrize("change", [1e-6, -1.0, math.nan])
def test_linear_with_factors_that_do_not_add_up_to_one(change: float) -> None:
    rest = (1 - SLOPES + np.array([0, change, 0])).astype(np.float32).reshape(3, 1, 1)
    _refused("p = Relu(x) r = Mul(p, b) s = Mul(x, a) y = Add(r, s)", b=rest)


@pytest.mark.parametrize("convolution", _bodies(NOT_DEPTHWISE))
def test_a_convolution_that_does_more_than_scale(convolution: str) -> None:
    _refused(
        f"p = Relu(x) n = Conv<group = 3>(x, w_minus_one) q = Relu(n) s = {convolution} "
        "y = Add(p, s)"
    )


@pytest.mark.parametrize("negation", _bodies(NOT_NEGATED))
def test_a_convolution_that_does_not_negate(negation: str) -> None:
    _refused(
        f"p = Relu(x) n = {negation} q = Relu(n) s = Conv<group = 3>(q, w_negated) y = Add(p, s)"
    )


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 3, 2, 1)])
def test_the_input_transposed_in_one_place_only(order: tuple[int, ...]) -> None:
    square = "float[N,4,4,4]"
    body = f"t = Transpose<perm = {list(order)}>(x) p = Relu(x) q = Min(t, zero) s = Mul(q, half) "
    assert matches(model(f"{body} y = Add(p, s)", f"{square} x", f"{square} y")) == []


CUSTOM = {
    "PRelu": "y = custom.PRelu(x, a)",
    "Add": "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = custom.Add(p, s)",
    "Relu": "p = custom.Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "Min": "p = Relu(x) q = custom.Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "Where": "c = Greater(x, zero) s = Mul(x, a) y = custom.Where(c, x, s)",
    "Greater": "c = custom.Greater(x, zero) s = Mul(x, a) y = Where(c, x, s)",
    "Mul": "p = Relu(x) q = Min(x, zero) s = custom.Mul(q, a) y = Add(p, s)",
    "Clip": "p = custom.Clip(x, zero) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "Identity": "p = Relu(x) q = Min(x, zero) r = custom.Identity(q) s = Mul(r, a) y = Add(p, s)",
    "Transpose": "p = Relu(x) q = Min(x, zero) r = Mul(q, a) "
    "s = custom.Transpose<perm = [0, 1, 2, 3]>(r) y = Add(p, s)",
    "Conv": "p = Relu(x) n = custom.Conv<group = 3>(x, w_minus_one) q = Relu(n) "
    "s = Conv<group = 3>(q, w_negated) y = Add(p, s)",
    "Neg of the slope": "b = custom.Neg(a) y = PRelu(x, b)",
}


@pytest.mark.parametrize("body", _bodies(CUSTOM))
def test_an_operator_of_another_domain(body: str) -> None:
    _refused(body)


WIDENED = {
    "by its slopes": "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "by its zero": "p = Max(x, zeros) q = Min(x, zero) s = Mul(q, half) y = Add(p, s)",
    "in a where": "c = Greater(x, zero) s = Mul(x, a) y = Where(c, x, s)",
    "in a max": "s = Mul(x, a) y = Max(x, s)",
}


@pytest.mark.parametrize("body", _bodies(WIDENED))
def test_an_output_of_another_shape_than_the_input(body: str) -> None:
    assert matches(model(body, "float[N,1,4,5] x", f"{IMAGE} y")) == []
