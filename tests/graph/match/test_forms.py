"""Every form recognised, however its operands are written, and the same numbers once it is fused.

What only resembles a form is in `test_form_refusals.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from graph_text import IMAGE, SLOPES, fused_one, match_one, model, numbers

from prelu_tools.graph.match.forms import FORMS

POSITIVE_PARTS = (
    "Relu(x)", "Max(x, zero)", "Max(zero, x)", "Max(x, zeros)", "Clip(x, zero)", "Clip(x, zero, )"
)  # fmt: skip
TIMES_MINUS_ONE = ("Mul(x, minus_one)", "Mul(minus_one, x)", "Mul(x, minus_ones)")
NEGATED = ("Neg(x)", *TIMES_MINUS_ONE)
IS_POSITIVE = (
    "Greater(x, zero)", "GreaterOrEqual(x, zeros)", "Less(zero, x)", "LessOrEqual(zero, x)"
)  # fmt: skip
IS_NEGATIVE = (
    "Less(x, zero)", "LessOrEqual(x, zeros)", "Greater(zero, x)", "GreaterOrEqual(zero, x)"
)  # fmt: skip

Case = tuple[str, str]


def _condition(plain: tuple[str, ...], opposite: tuple[str, ...], name: str) -> Iterator[str]:
    """Ways to compute a condition: directly, or as the negation of its opposite."""
    yield from (f"{name} = {text} " for text in plain)
    yield from (f"{name}_0 = {text} {name} = Not({name}_0) " for text in opposite)


def _sum_of(second: str) -> Iterator[str]:
    """Ways to add the positive part and a product; `second` makes q, which is to be scaled."""
    for positive, order in product(POSITIVE_PARTS, ("p, s", "s, p")):
        yield f"p = {positive} {second} y = Add({order})"


def _scaled(slope: str) -> tuple[str, str]:
    return f"s = Mul(q, {slope})", f"s = Mul({slope}, q)"


def _relu_neg() -> Iterator[str]:
    for scaled in _scaled("a_negated"):
        yield from _sum_of(f"n = Neg(x) q = Relu(n) {scaled}")
    yield "p = Relu(x) n = Neg(x) q = Relu(n) t = Mul(q, a) s = Neg(t) y = Add(p, s)"


def _relu_mul() -> Iterator[str]:
    for negated, scaled in product(TIMES_MINUS_ONE, _scaled("a_negated")):
        yield from _sum_of(f"n = {negated} q = Relu(n) {scaled}")


def _relu_sub() -> Iterator[str]:
    for positive, negated, scaled in product(POSITIVE_PARTS, NEGATED, _scaled("a")):
        yield f"p = {positive} n = {negated} q = Relu(n) {scaled} y = Sub(p, s)"


def _where() -> Iterator[str]:
    for scaled in ("s = Mul(x, a) ", "s = Mul(a, x) ", "s = Div(x, a_inverse) "):
        for condition in _condition(IS_POSITIVE, IS_NEGATIVE, "c"):
            yield f"{condition}{scaled}y = Where(c, x, s)"
        for condition in _condition(IS_NEGATIVE, IS_POSITIVE, "c"):
            yield f"{condition}{scaled}y = Where(c, s, x)"


def _where_mask() -> Iterator[str]:
    masks = "m = Cast<to = 1>(c) k = Cast<to = 1>(d) s = Mul(x, a) "
    sums = (
        "u = Mul(m, x) v = Mul(k, s) y = Add(u, v)",
        "u = Mul(x, m) v = Mul(s, k) y = Add(v, u)",
    )
    conditions = [
        *(f"{c}{d}" for c, d in product(
            _condition(IS_POSITIVE, IS_NEGATIVE, "c"), _condition(IS_NEGATIVE, IS_POSITIVE, "d")
        )),
        "c = GreaterOrEqual(x, zero) d = Not(c) ",  # what tf2onnx writes
    ]  # fmt: skip
    for condition, total in product(conditions, sums):
        yield f"{condition}{masks}{total}"


def _max_min() -> Iterator[str]:
    negative_parts = ("Min(x, zero)", "Min(zero, x)", "Min(x, zeros)")
    for negative, scaled in product(negative_parts, _scaled("a")):
        yield from _sum_of(f"q = {negative} {scaled}")
    yield "p = Relu(x) q = Min(x, zero) s = Div(q, a_inverse) y = Add(p, s)"
    yield "p = Relu(x) q = Min(x, zero) t = Mul(q, a_half) s = Mul(two, t) y = Add(p, s)"
    yield "p = Relu(x) q = Min(x, zero) t = Neg(q) s = Mul(a_negated, t) y = Add(p, s)"
    widened = "d = Shape(x) z = Expand(zero, d) "  # zeros_like(x)
    yield f"{widened}p = Max(x, z) q = Min(z, x) s = Mul(a, q) y = Add(p, s)"
    below = ("u = Min(x, infinity) p = Max(u, zero)", "u = Max(zero, x) p = Min(infinity, u)")
    above = (
        "v = Max(x, minus_infinity) q = Min(v, zero)",
        "v = Min(x, zero) q = Max(minus_infinity, v)",
    )
    for positive, negative in product(below, above):  # clip(x, 0, inf) and clip(x, -inf, 0)
        yield f"{positive} {negative} s = Mul(a, q) y = Add(p, s)"


def _clip() -> Iterator[str]:
    for scaled in _scaled("a"):
        yield from _sum_of(f"q = Clip(x, , zero) {scaled}")


def _abs() -> Iterator[str]:
    for scaled in _scaled("a_half"):
        yield from _sum_of(f"b = Abs(x) q = Sub(x, b) {scaled}")
    yield "p = Relu(x) b = Abs(x) q = Sub(x, b) h = Mul(q, half) s = Mul(a, h) y = Add(p, s)"


def _max() -> Iterator[str]:
    for scaled, order in product(("Mul(x, a)", "Mul(a, x)", "Div(x, a_inverse)"), ("x, s", "s, x")):
        yield f"s = {scaled} y = Max({order})"


def _max_neg() -> Iterator[str]:
    negative = ("Min(x, zero)", "Min(zeros, x)")
    for least, scaled, order in product(negative, _scaled("a"), ("x, s", "s, x")):
        yield f"q = {least} {scaled} y = Max({order})"


def _linear() -> Iterator[str]:
    for positive, order in product(POSITIVE_PARTS, ("r, s", "s, r")):
        yield f"p = {positive} r = Mul(p, a_rest) s = Mul(a, x) y = Add({order})"


def _depthwise() -> Iterator[str]:
    yield from _sum_of(
        "n = Conv<group = 3>(x, w_minus_one) q = Relu(n) "
        "s = Conv<group = 3, kernel_shape = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>"
        "(q, w_negated)"
    )
    negated = "n = Conv<group = 3>(x, w_minus_one) q = Relu(n)"
    yield f"p = Relu(x) {negated} s = Mul(q, a_negated) y = Add(p, s)"


SPELLINGS = {
    "prelu": lambda: iter(["y = PRelu(x, a)"]),
    "relu_neg": _relu_neg,
    "relu_mul": _relu_mul,
    "relu_sub": _relu_sub,
    "where": _where,
    "where_mask": _where_mask,
    "max_min": _max_min,
    "clip": _clip,
    "abs": _abs,
    "max": _max,
    "max_neg": _max_neg,
    "linear": _linear,
    "depthwise": _depthwise,
}
CASES = [
    pytest.param(form, body, id=f"{form}-{number}")
    for form, bodies in SPELLINGS.items()
    for number, body in enumerate(bodies())
]


STATED = {"relu", "identity", "leaky_relu"}  # PReLU where the node says so: test_lowering.py


def test_every_form_has_its_spellings() -> None:
    assert set(FORMS) == set(SPELLINGS) | STATED | {"expression"}


@pytest.mark.parametrize(("form", "body"), CASES)
def test_a_form_is_recognised_with_its_true_slopes(form: str, body: str) -> None:
    found = fused_one(model(body))
    assert found.form == form
    assert (found.x, found.order, found.node.output[0]) == ("x", None, "y")
    assert found.slopes.dtype == np.float32
    assert np.broadcast_to(found.slopes, (1, 3, 4, 5))[0, :, 0, 0].tolist() == SLOPES.tolist()


LOWEST, HIGHEST = "-3.4028234663852886e38", "3.4028234663852886e38"


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("Clip<min = 0.0>(x)", "Clip<max = 0.0>(x)"),
        (f"Clip<min = 0.0, max = {HIGHEST}>(x)", f"Clip<min = {LOWEST}, max = 0.0>(x)"),
    ],
)
def test_clip_with_attributes_as_before_opset_11(positive: str, negative: str) -> None:
    proto = model(f"p = {positive} q = {negative} s = Mul(q, a) y = Add(p, s)", opset=10)
    assert fused_one(proto).form == "clip"


@pytest.mark.parametrize("largest", [1.0, 0.5, -2.0])
def test_max_up_to_a_slope_of_one(largest: float) -> None:
    slopes = np.array([0.5, largest, -3.0], np.float32).reshape(3, 1, 1)
    proto = model("s = Mul(x, b) y = Max(x, s)", constants={"b": slopes})
    assert fused_one(proto).form == "max"


@pytest.mark.parametrize("shape", [(), (1,), (1, 3, 1, 1), (3, 4, 5), (1, 3, 4, 5), (5,)])
def test_slopes_of_any_shape_that_fits(shape: tuple[int, ...]) -> None:
    slopes = numbers(*shape, seed=1) / 4
    proto = model(
        "p = Relu(x) q = Min(x, zero) s = Mul(q, b) y = Add(p, s)", constants={"b": slopes}
    )
    assert np.array_equal(fused_one(proto).slopes, slopes)


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_other_types_keep_theirs(dtype: str) -> None:
    kind = {"float16": np.float16, "double": np.float64}[dtype]
    image = IMAGE.replace("float", dtype)
    constants = {"b": SLOPES.astype(kind).reshape(3, 1, 1), "nought": kind(0)}
    body = "p = Relu(x) b_ = Abs(x) q = Sub(x, b_) s = Mul(q, b) y = Add(p, s)"
    proto = model(body, f"{image} x", f"{image} y", constants)
    found = match_one(proto)
    assert found.slopes.dtype == kind
    assert found.slopes.ravel().tolist() == (2 * SLOPES).tolist()
