"""Slopes behind what exporters put between a parameter and its use, against onnxruntime."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import pytest
from graph_text import (
    IMAGE,
    SLOPES,
    Array,
    fused_one,
    match_one,
    matches,
    model,
    numbers,
    view,
)

from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.match.constants import read_constant

NAMED: Mapping[str, Array] = {
    "flat": SLOPES,
    "row": SLOPES.reshape(1, 3),
    "last": SLOPES.reshape(1, 1, 3),
    "four": SLOPES.reshape(1, 3, 1, 1),
    "grid": numbers(2, 3, seed=1),
    "column": np.array([3, 1, 1]),
    "to_row": np.array([1, 3, -1, 1]),
    "keep": np.array([0, 1, 1]),
    "behind": np.array([1, 2]),
    "from_the_end": np.array([-1, -2]),
    "first": np.array([0]),
    "wide": np.array([3, 4, 5]),
    "one_axis": np.array([1, 4, 1]),
    "four_wide": np.array([4]),
    "codes": np.array([1, -2, 3], np.int8).reshape(3, 1, 1),
    "scale": np.float32(0.25),
    "scales": np.array([0.5, 0.25, 2], np.float32),
    "offset": np.int8(1),
    "offsets": np.array([0, 1, -1], np.int8),
    "halves": SLOPES.astype(np.float16).reshape(3, 1, 1),
    "doubles": SLOPES.astype(np.float64).reshape(3, 1, 1),
    "three": np.float32(3),
    "turned": np.array([2, 0, 1]),
    "behind_one": np.array([1]),
    "three_": np.array([3]),
    "line": np.full((1, 1, 1), 0.5, np.float32),
    "last_axes": np.array([2, 3]),
    "pair": np.concatenate([SLOPES, -SLOPES]).reshape(6, 1, 1),
}
CHAINS = {
    "constant node": "b = Constant<value = float[3,1,1] {0.25, -0.5, 0.125}>()",
    "constant of one float": "b = Constant<value_float = 0.25>()",
    "constant of several floats": "b = Constant<value_floats = [0.25, -0.5, 0.125, 1.0, 2.0]>()",
    "identity": "b = Identity(a)",
    "neg": "b = Neg(a_negated)",
    "reshape": "b = Reshape(flat, column)",
    "reshape with -1": "b = Reshape(flat, to_row)",
    "reshape with 0": "b = Reshape(flat, keep)",
    "unsqueeze": "b = Unsqueeze(flat, behind)",
    "unsqueeze from the end": "b = Unsqueeze(flat, from_the_end)",
    "squeeze": "b = Squeeze(four, first)",
    "squeeze all": "c = Squeeze(four) b = Unsqueeze(c, behind)",
    "transpose": "b = Transpose<perm = [2, 0, 1]>(last)",
    "transpose reversed": "b = Transpose(last)",
    "expand": "b = Expand(a, wide)",
    "expand by a smaller shape": "b = Expand(a, one_axis)",
    "cast from half": "b = Cast<to = 1>(halves)",
    "cast from double": "b = Cast<to = 1>(doubles)",
    "dequantize": "b = DequantizeLinear(codes, scale, offset)",
    "dequantize without a zero point": "b = DequantizeLinear(codes, scale)",
    "dequantize along an axis": "b = DequantizeLinear<axis = 0>(codes, scales, offsets)",
    "dequantize along an axis from the end": "b = DequantizeLinear<axis = -3>(codes, scales)",
    "quantize": "c = QuantizeLinear(a, scale, offset) b = DequantizeLinear(c, scale, offset)",
    "sums": "c = Add(a, a_half) d = Sub(c, a_half) e = Sum(d, a, a) f = Mean(e, e) "
    "b = Div(f, three)",
    "limits": "c = Clip(a, minus_one, one) d = Max(c, minus_ones) e = Min(d, six) f = Abs(e) "
    "g = Sign(e) b = Mul(f, g)",
    "gather": "b = Gather<axis = 0>(a, turned)",
    "concat": "c = Slice(a, first, behind_one) d = Slice(a, behind_one, three_) "
    "b = Concat<axis = 0>(d, c)",
    "tile": "b = Tile(line, column)",
    "constant of shape": "c = ConstantOfShape<value = float[1] {0.5}>(column) b = Mul(c, a)",
    "a choice": "c = Greater(a, zero) b = Where(c, a, a_half)",
    "means": "c = ReduceMean<keepdims = 1>(four, last_axes) b = Squeeze(c, first)",
    "a split": "c, d = Split<axis = 0, num_outputs = 2>(pair) b = Identity(d)",
    "powers": "c = Mul(a, a) d = Sqrt(c) e = Reciprocal(d) b = Div(one, e)",
    "a chain": "c = Identity(last) d = Neg(c) e = Transpose<perm = [2, 1, 0]>(d) f = Neg(e) "
    "b = Identity(f)",
}  # fmt: skip
ROOTS = {"b", "a", "a_negated", "flat", "last", "four", "codes", "halves", "doubles", "c", "line",
         "pair", "a_half"}  # fmt: skip


@pytest.mark.parametrize("chain", [pytest.param(text, id=name) for name, text in CHAINS.items()])
@pytest.mark.parametrize(
    "form",
    [
        pytest.param("y = PRelu(x, b)", id="prelu"),
        pytest.param("p = Relu(x) q = Min(x, zero) s = Mul(q, b) y = Add(p, s)", id="max_min"),
    ],
)
def test_slopes_behind_other_nodes(chain: str, form: str) -> None:
    found = fused_one(model(f"{chain} {form}", constants=NAMED))
    assert found.parameter in ROOTS
    assert found.slopes.dtype == np.float32


@pytest.mark.parametrize(
    ("chain", "root", "stored"),
    [
        ("b = Neg(a)", "a", (3, 1, 1)),
        ("c = Identity(flat) b = Identity(c)", "flat", (3,)),
        ("b = Constant<value_floats = [0.5]>()", "b", (1,)),
    ],
)
def test_the_parameter_is_where_the_chain_begins(
    chain: str, root: str, stored: tuple[int, ...]
) -> None:
    found = match_one(model(f"{chain} y = PRelu(x, b)", constants=NAMED))
    assert (found.parameter, found.stored_shape) == (root, stored)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ("b = Transpose(grid)", NAMED["grid"].T),
        ("b = Neg(grid)", -NAMED["grid"]),
        ("b = Constant<value_int = 7>()", np.array(7)),
        ("b = Constant<value_ints = [7, 8]>()", np.array([7, 8])),
        ("b = Squeeze<axes = [0]>(row)", SLOPES),
        ("b = Unsqueeze<axes = [0, 2]>(row)", SLOPES.reshape(1, 1, 1, 3)),
        ("b = Cast<to = 10>(flat)", SLOPES.astype(np.float16)),
        ("b = Cast<to = 6>(scales)", np.array([0, 0, 2], np.int32)),
        ("b = DequantizeLinear(grid_codes, scales)",
         np.array([[0.5, -0.5, 6], [-2, 1.25, -12]], np.float32)),
    ],
)  # fmt: skip
def test_values_of_a_constant(chain: str, expected: Array) -> None:
    codes = np.array([[1, -2, 3], [-4, 5, -6]], np.int8)
    graph = view(model(f"{chain} y = Identity(b)", constants={**NAMED, "grid_codes": codes}))
    constant = read_constant(graph, "b")
    assert constant is not None
    assert graph.is_constant("b")
    assert same_bits(constant.values, expected)


@pytest.mark.parametrize(
    "chain",
    [
        "b = Neg(x)",
        "b = custom.Sigmoid(a)",
        "b = RandomNormal<shape = [3, 1, 1]>()",
        "b = RandomNormalLike(a)",
        "t = Neg(x) b = Identity(t)",
        "sh = Shape(x) b = Expand(a, sh)",
        "b = Reshape(x, column)",
    ],
)
def test_what_is_no_constant(chain: str) -> None:
    graph = view(model(f"{chain} y = Identity(b)", constants=NAMED))
    assert not graph.is_constant("b")
    assert read_constant(graph, "b") is None


@pytest.mark.parametrize("name", ["x", "y", "nothing"])
def test_inputs_and_unknown_tensors_are_no_constants(name: str) -> None:
    graph = view(model("y = Relu(x)"))
    assert not graph.is_constant(name)
    assert read_constant(graph, name) is None


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param("b = Reshape(flat, wide)", id="sizes that do not fit"),
        pytest.param("b = Expand(flat, four_wide)", id="sizes that do not broadcast"),
        pytest.param("b = Transpose<perm = [0, 3]>(row)", id="an axis too many"),
        pytest.param("b = Squeeze(flat, first)", id="an axis that is not 1"),
        pytest.param("b = Reshape(flat, )", id="an input left out"),
        pytest.param("b = Cast(flat)", id="an attribute left out"),
        pytest.param('b = Constant<value_string = "0.25">()', id="text"),
        pytest.param("b = Constant()", id="nothing at all"),
    ],
)
def test_a_broken_constant_is_no_slope(chain: str) -> None:
    proto = model(f"{chain} y = PRelu(x, b)", constants=NAMED)
    with contextlib.suppress(PReLUToolsError):
        assert matches(proto) == []


def test_a_graph_input_with_a_default_value_is_read() -> None:
    proto = model("y = PRelu(x, a)", f"{IMAGE} x, float[3,1,1] a")
    assert match_one(proto).slopes.ravel().tolist() == SLOPES.tolist()


@pytest.mark.parametrize(
    "form",
    ["y = PRelu(x, b)", "c = Greater(x, zero) s = Mul(x, b) y = Where(c, x, s)"],
)
def test_a_slope_that_is_expanded_to_the_input_is_that_slope(form: str) -> None:
    proto = model(f"sh = Shape(x) b = Expand(a, sh) {form}")
    assert same_bits(fused_one(proto).slopes, SLOPES.reshape(3, 1, 1))
