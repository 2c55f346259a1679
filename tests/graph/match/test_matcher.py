"""Identity and Transpose nodes within a form, inputs that are scaled themselves, mixed products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, Array, match_one, matches, model, numbers, operators, run, whole

from prelu_tools.graph.passes.canonical import fuse_prelus

TO_LAST, TO_FIRST = "Transpose<perm = [0, 2, 3, 1]>", "Transpose<perm = [0, 3, 1, 2]>"
LAST = "float[N,4,5,3]"
ROW = SLOPES  # [C]: the channels are the last axis
ELEMENTS = numbers(4, 5, 3, seed=3)  # a slope for each position, channels last
ON_FIRST = ELEMENTS.transpose(2, 0, 1)


def _fused(proto: onnx.ModelProto, **feeds: Array) -> onnx.ModelProto:
    """The model with its one PReLU fused, which computes what it did before."""
    before = run(proto, **feeds)
    found = match_one(proto)
    fuse_prelus(whole(proto), lambda _: True)
    after = run(proto, **feeds)
    assert [np.array_equal(a, b) for a, b in zip(after, before, strict=True)] == [True] * len(
        before
    )
    assert found.node.output[0] == "y"
    return proto


def _slopes(proto: onnx.ModelProto) -> Array:
    """The slopes of the only PReLU, on [N,C,H,W] or as they lie."""
    slopes = match_one(proto).slopes
    return slopes.reshape(slopes.shape[-3:])


def test_keras_five_ops_with_slopes_for_each_position_on_a_channels_first_map() -> None:
    proto = model(
        f"p = Relu(x) n = Neg(x) q = Relu(n) t = {TO_LAST}(q) s = Mul(t, e) u = {TO_FIRST}(s) "
        "y = Add(p, u)",
        constants={"e": -ELEMENTS},
    )
    assert match_one(proto).form == "relu_neg"
    assert np.array_equal(_slopes(proto), ON_FIRST)
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu"]


@pytest.mark.parametrize("slopes", ["row", "e"])
def test_two_equal_transposes_of_one_tensor(slopes: str) -> None:
    proto = model(
        f"t = {TO_LAST}(x) u = {TO_LAST}(x) p = Relu(t) q = Min(u, zero) s = Mul(q, {slopes}) "
        "y = Add(p, s)",
        outputs=f"{LAST} y",
        constants={"row": ROW, "e": ELEMENTS},
    )
    found = match_one(proto)
    assert (found.x, found.order) == ("x", (0, 2, 3, 1))
    on_first = {"row": SLOPES.reshape(3, 1, 1), "e": ON_FIRST}[slopes]
    assert np.array_equal(found.slopes, on_first[None])
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu", "Transpose"]


def test_transposes_behind_both_parts_leave_one_behind_the_prelu() -> None:
    proto = model(
        f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) u = {TO_LAST}(q) s = Mul(u, e) "
        "y = Add(t, s)",
        outputs=f"{LAST} y",
        constants={"e": ELEMENTS},
    )
    found = match_one(proto)
    assert (found.x, found.order) == ("x", (0, 2, 3, 1))
    assert np.array_equal(_slopes(proto), ON_FIRST)
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu", "Transpose"]


def test_a_transpose_before_one_part_and_behind_the_other() -> None:
    proto = model(
        f"t = {TO_LAST}(x) p = Relu(t) q = Min(x, zero) s = Mul(q, a) u = {TO_LAST}(s) "
        "y = Add(p, u)",
        outputs=f"{LAST} y",
    )
    found = match_one(proto)
    assert (found.x, found.order) == ("x", (0, 2, 3, 1))
    assert found.slopes.ravel().tolist() == SLOPES.tolist()
    assert found.slopes.shape == (1, 3, 1, 1)
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu", "Transpose"]


def test_slopes_on_both_sides_of_a_transpose() -> None:
    proto = model(
        f"p = Relu(x) q = Min(x, zero) r = Mul(q, a) t = {TO_LAST}(r) s = Mul(t, e) "
        f"u = {TO_FIRST}(s) y = Add(p, u)",
        constants={"e": ELEMENTS},
    )
    assert np.array_equal(_slopes(proto), ON_FIRST * SLOPES.reshape(3, 1, 1))
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu"]


@pytest.mark.parametrize(
    "convolution", ["s = Conv<group = 3>(q, w_negated)", "s = Mul(q, a_negated)"]
)
def test_the_weight_of_a_depthwise_convolution_is_moved_too(convolution: str) -> None:
    proto = model(
        f"p = Relu(x) t = {TO_LAST}(p) n = Conv<group = 3>(x, w_minus_one) q = Relu(n) "
        f"{convolution} u = {TO_LAST}(s) y = Add(t, u)",
        outputs=f"{LAST} y",
    )
    found = match_one(proto)
    assert (found.form, found.x, found.order) == ("depthwise", "x", (0, 2, 3, 1))
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu", "Transpose"]


def test_three_transposes_in_a_row() -> None:
    turn = "Transpose<perm = [0, 2, 3, 1]>"
    proto = model(
        f"p = Relu(x) q = Min(x, zero) r = {turn}(q) s = {turn}(r) m = Mul(s, e) v = {turn}(m) "
        "y = Add(p, v)",
        constants={"e": numbers(5, 3, 4, seed=4)},
    )
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu"]


def test_a_transpose_that_reverses_all_axes_within_others() -> None:
    reverse = "Transpose<perm = [3, 2, 1, 0]>"
    proto = model(
        f"p = Relu(x) q = Min(x, zero) t = Transpose(q) s = Mul(t, e) u = {reverse}(s) "
        "y = Add(p, u)",
        constants={"e": numbers(5, 4, 3, 1, seed=5)},
    )
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5))) == ["PRelu"]


def test_transposes_that_do_not_cancel_are_no_form() -> None:
    cube = "float[N,4,4,4]"
    body = f"p = Relu(x) q = Min(x, zero) t = {TO_LAST}(q) s = Mul(t, half) u = {TO_LAST}(s) "
    assert matches(model(f"{body} y = Add(p, u)", f"{cube} x", f"{cube} y")) == []


@pytest.mark.parametrize(
    "body",
    [
        "i = Identity(x) p = Relu(i) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
        "p = Relu(x) j = Identity(p) q = Min(x, zero) s = Mul(q, a) y = Add(j, s)",
        "p = Relu(x) q = Min(x, zero) j = Identity(q) k = Identity(j) s = Mul(k, a) y = Add(p, s)",
        "p = Relu(x) q = Min(x, zero) s = Mul(q, a) j = Identity(s) y = Add(p, j)",
        "c = Greater(x, zero) j = Identity(c) k = Identity(x) s = Mul(x, a) y = Where(j, k, s)",
        "j = Identity(x) s = Mul(x, a) y = Max(j, s)",
    ],
)
def test_identities_are_walked_through(body: str) -> None:
    proto = model(body)
    assert [op for op in operators(_fused(proto, x=numbers(2, 3, 4, 5))) if op != "Identity"] == [
        "PRelu"
    ]


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ("x_ = Mul(x, two) s = Mul(x_, a) y = Max(x_, s)", "max"),
        ("x_ = Mul(two, x) s = Mul(a, x_) y = Max(s, x_)", "max"),
        ("x_ = Neg(x) s = Mul(x_, a) y = Max(s, x_)", "max"),
        ("x_ = Div(x, two) s = Mul(x_, a) c = Greater(x_, zero) y = Where(c, x_, s)", "where"),
        ("x_ = Mul(x, two) s = Mul(x_, a) c = Less(x_, zero) y = Where(c, s, x_)", "where"),
        ("x_ = Mul(x, a) n = Neg(x_) q = Relu(n) s = Mul(q, a_negated) p = Relu(x_) y = Add(s, p)",
         "relu_neg"),
        ("x_ = Mul(x, two) p = Relu(x_) r = Mul(p, a_rest) s = Mul(a, x_) y = Add(s, r)", "linear"),
        ("x_ = Conv<group = 3>(x, w_minus_one) s = Mul(x_, a) y = Max(x_, s)", "max"),
    ],
)  # fmt: skip
def test_an_input_that_is_scaled_itself(body: str, form: str) -> None:
    proto = model(body)
    found = match_one(proto)
    assert (found.form, found.x) == (form, "x_")
    assert found.slopes.ravel().tolist() == SLOPES.tolist()
    assert operators(_fused(proto, x=numbers(2, 3, 4, 5)))[-1] == "PRelu"


def test_an_activation_of_an_activation_is_two() -> None:
    one = "p{0} = Relu({1}) q{0} = Min({1}, zero) s{0} = Mul(q{0}, a) {2} = Add(p{0}, s{0}) "
    proto = model(one.format(1, "x", "m") + one.format(2, "m", "y"))
    assert [(found.x, found.node.output[0]) for found in matches(proto)] == [("x", "m"), ("m", "y")]


@pytest.mark.parametrize(
    ("body", "parameter", "stored"),
    [
        ("h = Mul(q, half) s = Mul(h, a)", "a", (3, 1, 1)),
        ("h = Mul(q, a) s = Mul(half, h)", "a", (3, 1, 1)),
        ("h = Mul(q, half) s = Mul(h, two)", "two", ()),
        ("r = Reshape(a, to_row) h = Mul(q, r) s = Mul(h, half)", "a", (3, 1, 1)),
        ("s = Mul(q, a)", "a", (3, 1, 1)),
    ],
)
def test_the_parameter_is_the_largest_constant_of_a_product(
    body: str, parameter: str, stored: tuple[int, ...]
) -> None:
    to_row = np.array([1, 3, 1, 1])
    proto = model(
        f"p = Relu(x) q = Min(x, zero) {body} y = Add(p, s)", constants={"to_row": to_row}
    )
    found = match_one(proto)
    assert (found.parameter, found.stored_shape) == (parameter, stored)


def test_the_nodes_of_a_form_are_listed_from_its_output() -> None:
    proto = model(f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) s = Mul(q, a) u = {TO_LAST}(s) "
                  "y = Add(t, u)", outputs=f"{LAST} y")  # fmt: skip
    names = [node.output[0] for node in match_one(proto).nodes]
    assert names[0] == "y"
    assert sorted(names) == ["p", "q", "s", "t", "u", "y"]


def test_an_input_of_unknown_rank_is_no_hindrance() -> None:
    body = "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)"
    proto = model(body, "float[] x", "float[] y")
    assert match_one(proto).slopes.shape == (3, 1, 1)


@pytest.mark.parametrize("bound", ["vector", "row"])
def test_a_clip_with_an_odd_bound(bound: str) -> None:
    constants = {"vector": np.zeros(1, np.float32), "row": np.zeros(5, np.float32)}
    body = f"p = Clip(x, {bound}) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)"
    assert [m.form for m in matches(model(body, constants=constants))] in ([], ["max_min"])
