"""What a quantized graph means: the numbers that its kernels give, where they need not round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_text import Array, run, whole
from onnx import helper, numpy_helper, parser

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.quantized.meaning import Meaning, meaning_of
from prelu_tools.graph.quantized.noticing import located_layers, noticed_meaning
from prelu_tools.graph.quantized.operators import is_quantizing

# Scales are powers of two and numbers are small: kernels compute exactly what the codes stand for.
_DRAWN = np.random.default_rng(3)
IMAGE, ROWS = "float[2,3,5,4]", "float[2,4]"
CONSTANTS: dict[str, Array] = {
    "half": np.float32(0.5),
    "quarter": np.float32(0.25),
    "eighth": np.float32(0.125),
    "tiny": np.float32(2**-8),
    "u3": np.uint8(3),
    "u100": np.uint8(100),
    "u128": np.uint8(128),
    "i5": np.int8(5),
    "i0": np.int8(0),
    "sixteenth": np.float32(0.0625),
    "half1": np.float32([0.5]),
    "one1": np.float32(1),
    "zero1": np.uint8([100]),
    "scales": np.float32([0.5, 0.25, 1.0]),
    "zeros": np.zeros(3, np.int8),
    "filters": _DRAWN.integers(-2, 3, (3, 3, 2, 2)).astype(np.int8),
    "columns": _DRAWN.integers(-3, 4, (4, 3)).astype(np.int8),
    "rows": _DRAWN.integers(-3, 4, (3, 4)).astype(np.int8),
    "bytes": _DRAWN.integers(97, 104, (4, 3)).astype(np.uint8),
    "kernel": _DRAWN.integers(97, 104, (3, 3, 2, 2)).astype(np.uint8),
    "bias": np.int32([3, -5, 2]),
    "some": _DRAWN.integers(-4, 5, (1, 3, 1, 4)).astype(np.int8),
    "low": np.int8(-128),
    "u0": np.uint8(0),
    "u255": np.uint8(255),
    "scales4": np.float32([0.5, 0.25, 0.125, 0.0625]),
    "zeros4": np.int8([1, 0, -2, 3]),
    "around": _DRAWN.integers(99, 102, (3, 3, 2, 2)).astype(np.uint8),
}
ENTER = "q = QuantizeLinear(x, half, u100)"
LEAVE = "y = DequantizeLinear(r, eighth, u128)"
M = "com.microsoft."
QUANTIZING = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm"}


def _model(body: str, x: str = IMAGE, opset: int = 19, **constants: Any) -> onnx.ModelProto:
    imports = f'"": {opset}, "com.microsoft": 1'
    text = f"<ir_version: 9, opset_import: [{imports}]> graph ({x} x) => (float[] y) {{ {body} }}"
    proto = parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    for name, values in {**CONSTANTS, **constants}.items():
        if f" {name}," in body.replace("(", " ") or f" {name})" in body.replace("(", " "):
            proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return proto


def _meaning(proto: onnx.ModelProto) -> Meaning:
    found = meaning_of(whole(proto))
    assert found is not None
    return found


def _plain(meaning: Meaning) -> onnx.ModelProto:
    """With its weights as numbers: onnxruntime multiplies what it dequantizes in codes again."""
    proto = onnx.ModelProto()
    proto.CopyFrom(meaning.model.proto)
    assert {node.op_type for node in proto.graph.node}.isdisjoint(QUANTIZING)
    weights = [node for node in proto.graph.node if node.output[0] in meaning.weights]
    for node in weights:
        proto.graph.node.remove(node)
        values = meaning.steps[node.output[0]].values
        proto.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    return proto


def _numbers(x: str, step: float = 0.5, most: int = 3) -> Array:
    shape = [int(size) for size in x.partition("[")[2].rstrip("]").split(",")]
    drawn = np.random.default_rng(1).integers(-most, most + 1, shape)
    return np.asarray(drawn * step, np.float32)


EXACT: dict[str, tuple[str, str]] = {
    "conv": (IMAGE, f"{ENTER} r = QLinearConv<pads = [1, 0, 1, 0], strides = [1, 2]>"
             f"(q, half, u100, filters, scales, zeros, eighth, u128, bias) {LEAVE}"),
    "conv without bias": (IMAGE, f"{ENTER} r = QLinearConv<pads = [1, 1, 0, 0]>"
                          f"(q, half, u100, filters, half, i0, eighth, u128) {LEAVE}"),
    "conv of unsigned weights in another scale": (
        IMAGE, f"{ENTER} r = QLinearConv(q, quarter, u128, around, one1, u100, quarter, u128)"
        " y = DequantizeLinear(r, quarter, u128)"),
    "gemm in another scale": (
        ROWS, f"{ENTER} r = {M}QGemm(q, eighth, u100, columns, half, i0, bias, sixteenth, u128)"
        " y = DequantizeLinear(r, sixteenth, u128)"),
    "product in another scale": (
        ROWS, f"{ENTER} r = QLinearMatMul(q, eighth, u100, columns, half, i0, sixteenth, u128)"
        " y = DequantizeLinear(r, sixteenth, u128)"),
    "sum in another scale": (
        IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
        f" r = {M}QLinearAdd(s, quarter, u128, q, eighth, u100, eighth, u128) {LEAVE}"),
    "leaky in another scale": (
        IMAGE, f"{ENTER} r = {M}QLinearLeakyRelu<alpha = 0.25>(q, eighth, u100, tiny, u128)"
        " y = DequantizeLinear(r, tiny, u128)"),
    "concatenated in another scale": (
        IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
        f" r = {M}QLinearConcat<axis = 1>(eighth, u128, q, eighth, u100, s, quarter, u128)"
        f" {LEAVE}"),
    "conv of one scale in a list": (
        IMAGE, f"q = QuantizeLinear(x, half1, zero1) r = QLinearConv(q, half1, zero1, filters,"
        f" scales, zeros, eighth, u128, bias) {LEAVE}"),
    "product": (ROWS, f"{ENTER} r = QLinearMatMul(q, half, u100, columns, scales, zeros, eighth,"
                f" u128) {LEAVE}"),
    "product of two activations": (
        "float[4,4]", f"{ENTER} z = QuantizeLinear(x, half, u128)"
        f" r = QLinearMatMul(q, half, u100, z, half, u128, quarter, u128)"
        " y = DequantizeLinear(r, quarter, u128)"),
    "gemm": (ROWS, f"{ENTER} r = {M}QGemm<alpha = 2.0>(q, half, u100, columns, half, i0, bias,"
             f" eighth, u128) {LEAVE}"),
    "gemm by channel": (ROWS, f"{ENTER} r = {M}QGemm<transB = 1>(q, half, u100, rows, scales,"
                        f" zeros, bias, eighth, u128) {LEAVE}"),
    "gemm by column": (ROWS, f"{ENTER} r = {M}QGemm(q, half, u100, columns, scales, zeros, bias,"
                       f" eighth, u128) {LEAVE}"),
    "gemm of one scale in a list": (
        ROWS, f"q = QuantizeLinear(x, half1, zero1) r = {M}QGemm<transB = 1>(q, half1, zero1, rows,"
        f" scales, zeros, bias, eighth, u128) {LEAVE}"),
    "gemm without bias": (ROWS, f"{ENTER} r = {M}QGemm(q, half, u100, columns, half, i0, , eighth,"
                          f" u128) {LEAVE}"),
    "gemm in numbers": (ROWS, f"{ENTER} y = {M}QGemm(q, half, u100, columns, half, i0, bias)"),
    "sum": (IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
            f" r = {M}QLinearAdd(q, half, u100, s, quarter, u128, eighth, u128) {LEAVE}"),
    "sum with a constant": (IMAGE, "q = QuantizeLinear(x, half, i5)"
                            f" r = {M}QLinearAdd(some, quarter, i5, q, half, i5, eighth, i5)"
                            " y = DequantizeLinear(r, eighth, i5)"),
    "product by element": (IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
                           f" r = {M}QLinearMul(q, half, u100, s, quarter, u128, eighth, u128)"
                           f" {LEAVE}"),
    "leaky": (IMAGE, f"{ENTER} r = {M}QLinearLeakyRelu<alpha = 0.25>(q, half, u100, eighth, u128)"
              f" {LEAVE}"),
    "concatenated": (IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
                     f" r = {M}QLinearConcat<axis = 3>(eighth, u128, q, half, u100, s, quarter,"
                     f" u128) {LEAVE}"),
    "moved": (IMAGE, f"{ENTER} t = Transpose<perm = [0, 2, 3, 1]>(q)"
              " y = DequantizeLinear(t, half, u100)"),
    "largest of codes": (IMAGE, f"{ENTER} p = MaxPool<kernel_shape = [2, 2]>(q)"
                         " y = DequantizeLinear(p, half, u100)"),
    "read in another scale": (IMAGE, f"{ENTER} y = DequantizeLinear(q, quarter, u128)"),
    "joined codes of two scales": (IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128)"
                                   " c = Concat<axis = 1>(q, s) y = DequantizeLinear(c, half, u100)"
                                   ),
    "the larger of codes": (IMAGE, f"{ENTER} s = QuantizeLinear(x, half, u128) c = Max(q, s)"
                            " y = DequantizeLinear(c, half, u100)"),
    "the smaller of codes": (IMAGE, f"{ENTER} s = QuantizeLinear(x, quarter, u128) c = Min(q, s)"
                             " y = DequantizeLinear(c, half, u100)"),
    "beside what nobody reads": (IMAGE, f"n = Neg(x) {ENTER} y = DequantizeLinear(q, half, u100)"),
    "at least a code": (IMAGE, f"{ENTER} c = Max(u100, q) y = DequantizeLinear(c, half, u100)"),
    "codes from 0": (IMAGE, "q = QuantizeLinear(x, half, u0) y = DequantizeLinear(q, half, u0)"),
    "codes from 0, without it": (IMAGE, "q = QuantizeLinear(x, half)"
                                " y = DequantizeLinear(q, half)"),
    "codes from -128": (IMAGE, "q = QuantizeLinear(x, half, low) y = DequantizeLinear(q, half, low)"
                        ),
    "codes up to 0": (IMAGE, "q = QuantizeLinear(x, half, u255)"
                      " y = DequantizeLinear(q, half, u255)"),
    "scales along an axis": (IMAGE, "q = QuantizeLinear<axis = 3>(x, scales4, zeros4)"
                             " y = DequantizeLinear<axis = 3>(q, scales4, zeros4)"),
    "Microsoft's": (IMAGE, f"q = {M}QuantizeLinear(x, half, u100)"
                    f" y = {M}DequantizeLinear(q, half, u100)"),
    "integer product": (ROWS, "q, s, z = DynamicQuantizeLinear(x)"
                        " i = MatMulInteger(q, bytes, z, u100) f = Cast<to = 1>(i) y = Mul(f, s)"),
    "integer product of signed codes": (
        ROWS, "q, s, z = DynamicQuantizeLinear(x) i = MatMulInteger(q, columns, z)"
        " f = Cast<to = 1>(i) y = Mul(f, s)"),
    "integer product by column": (
        ROWS, "q, s, z = DynamicQuantizeLinear(x) i = MatMulInteger(q, bytes, z, three)"
        " f = Cast<to = 1>(i) y = Mul(f, s)"),
    "integer convolution": (
        IMAGE, "q, s, z = DynamicQuantizeLinear(x)"
        " i = ConvInteger<pads = [1, 1, 0, 0], strides = [2, 1]>(q, kernel, z, u100)"
        " f = Cast<to = 1>(i) y = Mul(f, s)"),
}  # fmt: skip
ROUNDED = {
    "sigmoid": (IMAGE, f"{ENTER} r = {M}QLinearSigmoid(q, half, u100, tiny, u0)"
                " y = DequantizeLinear(r, tiny, u0)"),
    "softmax": (IMAGE, f"{ENTER} r = {M}QLinearSoftmax<axis = 1, opset = 13>(q, half, u100, tiny,"
                " u0) y = DequantizeLinear(r, tiny, u0)"),
    "global mean": (IMAGE, f"{ENTER} r = {M}QLinearGlobalAveragePool(q, half, u100, tiny, u128)"
                    " y = DequantizeLinear(r, tiny, u128)"),
    "mean": (IMAGE, f"{ENTER} r = {M}QLinearAveragePool<kernel_shape = [2, 2], strides = [1, 2],"
             " channels_last = 0>"
             "(q, half, u100, eighth, u128) y = DequantizeLinear(r, eighth, u128)"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_it_gives_the_numbers_that_the_kernels_give(name: str) -> None:
    shape, body = EXACT[name]
    proto = _model(body, shape, three=np.uint8([99, 100, 101]))
    x = _numbers(shape, 0.5)
    if "Dynamic" in body:  # its scale is that of these numbers
        x = np.asarray(x * (127.5 / 255), np.float32)
        x.reshape(-1)[:2] = [-63.75 / 255 * 2, 63.75 / 255 * 2]
    meaning = _meaning(proto)
    (expected,), (found,) = run(proto, x=x), run(_plain(meaning), x=x)
    (stored,) = run(meaning.model.proto, x=x)
    np.testing.assert_allclose(stored, found, atol=0.02 * np.abs(found).max())
    plain = "QLinear" not in body and "QGemm" not in body
    assert meaning.kind == ("dynamic" if "Dynamic" in body else "QDQ" if plain else "QOperator")
    if "Dynamic" in body:
        assert np.abs(expected).max() > 1
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    else:
        assert np.array_equal(found, expected)
        assert np.unique(expected).size > 3


@pytest.mark.parametrize("name", ROUNDED)
def test_it_gives_them_within_a_step_where_they_round(name: str) -> None:
    shape, body = ROUNDED[name]
    proto = _model(body, shape)
    step = 2**-8 if "tiny" in body else 0.125
    x = _numbers(shape)
    x = np.clip(x, -0.5, 0.5) if "Global" in body else x
    (expected,), (found,) = run(proto, x=x), run(_plain(_meaning(proto)), x=x)
    assert np.abs(found - expected).max() <= 1.01 * step
    assert np.ptp(expected) > 10 * step


@pytest.mark.parametrize(
    ("body", "kind", "words", "weights", "rounded"),
    [
        pytest.param(EXACT["conv"][1], "QOperator", "statically (QOperator)", 2, ["q", "r"],
                     id="operators"),
        pytest.param(EXACT["conv without bias"][1], "QOperator", "statically (QOperator)", 1,
                     ["q", "r"], id="operators without bias"),
        pytest.param(f"{ENTER} y = DequantizeLinear(q, half, u100)", "QDQ", "statically (QDQ)", 0,
                     ["q"], id="pairs"),
        pytest.param("v = DequantizeLinear(some, half, i5) y = Add(x, v)", "weights only",
                     "in its weights only", 1, [], id="weights"),
        pytest.param("v = DequantizeLinear(some, half, i5) u = Add(x, v)"
                     " q = QuantizeLinear(u, half, i5) y = DequantizeLinear(q, half, i5)", "QDQ",
                     "statically (QDQ)", 1, ["q"], id="pairs and weights"),
        pytest.param(EXACT["integer convolution"][1], "dynamic", "dynamically", 1, [],
                     id="dynamic"),
    ],
)  # fmt: skip
def test_it_says_how_the_file_is_quantized(
    body: str, kind: str, words: str, weights: int, rounded: list[str]
) -> None:
    found = _meaning(_model(body))
    assert (found.kind, found.words) == (kind, words)
    assert len(found.weights) == len(found.steps) == weights
    assert found.rounded == tuple(rounded)
    assert set(rounded) <= set(found.codes)


def test_without_a_zero_point_codes_begin_at_0() -> None:
    shape, body = ROUNDED["sigmoid"]
    short = body.replace("tiny, u0)", "tiny)")
    x = _numbers(shape)
    outputs = [run(_plain(_meaning(_model(each, shape))), x=x)[0] for each in (body, short)]
    assert np.array_equal(*outputs)


def test_the_zero_point_of_dynamic_codes_is_0() -> None:
    """Whoever reads it gets that number, in its type."""
    body = EXACT["integer product"][1].replace("y = Mul(f, s)", "m = Mul(f, s)")
    meaning = _meaning(_model(f"{body} k = Add(z, u3) g = Cast<to = 1>(k) y = Add(m, g)", ROWS))
    x = _numbers(ROWS)
    (found,) = run(meaning.model.proto, x=x)
    weights = CONSTANTS["bytes"].astype(np.float32) - 100
    np.testing.assert_allclose(found, x @ weights + 3, atol=0.1)
    codes = meaning.codes["q"]
    assert (codes.scale, codes.zero, codes.zero.dtype) == (1, 0, np.uint8)


def test_an_integer_convolution_may_have_zero_points_by_channel() -> None:
    """Onnxruntime does not run it."""
    body = "q, s, z = DynamicQuantizeLinear(x) i = ConvInteger(q, kernel, z, three)"
    three = np.uint8([99, 100, 101])
    proto = _model(f"{body} f = Cast<to = 1>(i) y = Mul(f, s)", three=three)
    plain = _model("y = Conv(x, w)")
    weights = CONSTANTS["kernel"].astype(np.float32) - three.reshape(3, 1, 1, 1)
    plain.graph.initializer.append(numpy_helper.from_array(np.float32(weights), "w"))
    x = _numbers(IMAGE)
    (expected,), (found,) = run(plain, x=x), run(_plain(_meaning(proto)), x=x)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_codes_that_are_moved_keep_their_scale() -> None:
    found = _meaning(_model(EXACT["moved"][1]))
    assert found.rounded == ("q",)
    assert found.codes["t"] is found.codes["q"]
    assert (found.codes["q"].scale, found.codes["q"].zero) == (0.5, 100)
    assert found.codes["q"].axis == 1


MOVED = {
    "Reshape": "Reshape(q, sizes)", "Flatten": "Flatten<axis = 2>(q)", "Squeeze": "Squeeze(q)",
    "Unsqueeze": "Unsqueeze(q, axes)", "Identity": "Identity(q)",
    "Slice": "Slice(q, axes, ends)", "Gather": "Gather<axis = 2>(q, axes)",
    "Expand": "Expand(q, wide)", "DepthToSpace": "DepthToSpace<blocksize = 2>(q)",
    "SpaceToDepth": "SpaceToDepth<blocksize = 2>(q)", "Tile": "Tile(q, four)",
    "Split": "Split<axis = 2, num_outputs = 2>(q)", "Transpose": "Transpose(q)",
    "MaxPool": "MaxPool<kernel_shape = [2, 2]>(q)",
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_codes_may_be_moved_and_picked_by_what_moves_numbers(name: str) -> None:
    shape, step = "float[1,4,2,4]", MOVED[name]
    given = {"sizes": np.array([4, 8]), "axes": np.array([1]), "ends": np.array([2]),
             "wide": np.array([3, 4, 2, 4]), "four": np.array([1, 2, 1, 2])}  # fmt: skip
    made = "t, u" if name == "Split" else "t"
    body = f"{ENTER} {made} = {step} y = DequantizeLinear(t, half, u100)"
    plain = f"q = Identity(x) {made} = {step} y = Identity(t)"
    x = _numbers(shape)
    expected, found = (
        run(proto, x=x)[0]
        for proto in (
            _model(plain, shape, **given),
            _plain(_meaning(_model(body, shape, **given))),
        )
    )
    assert np.array_equal(found, expected)


def test_names_that_are_taken_are_left_alone() -> None:
    shape, body = EXACT["gemm"]
    proto = _model(body, shape)
    proto.graph.input[0].name = "r/real"
    proto.graph.node[0].input[0] = "r/real"
    for old, new in (("bias", "columns/dequantized"), ("half", "columns/scale")):
        for tensor in proto.graph.initializer:
            tensor.name = new if tensor.name == old else tensor.name
        for node in proto.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
    x = _numbers(shape)
    feeds: dict[str, Any] = {"r/real": x}
    (expected,), (found,) = run(proto, **feeds), run(_plain(_meaning(proto)), **feeds)
    assert np.array_equal(found, expected)
    assert np.array_equal(run(_model(body, shape), x=x)[0], expected)


def test_the_types_of_what_were_codes_are_forgotten() -> None:
    proto = _model(f"c = Relu(x) {ENTER.replace('(x', '(c')} y = DequantizeLinear(q, half, u100)")
    for name, kind in (("q", onnx.TensorProto.UINT8), ("c", onnx.TensorProto.FLOAT)):
        proto.graph.value_info.append(helper.make_tensor_value_info(name, kind, [2, 3, 5, 4]))
    found = _meaning(proto).model.proto.graph.value_info
    assert [value.name for value in found] == ["c"]


def test_the_default_domain_has_two_names() -> None:
    proto = _model(f"{ENTER} y = DequantizeLinear(q, half, u100)")
    for node in proto.graph.node:
        node.domain = "ai.onnx"
    assert _meaning(proto).kind == "QDQ"


@pytest.mark.parametrize(("name", "called"), [("", "v"), ("Weight_3", "Weight_3")])
def test_weights_in_codes_with_a_point_are_refused(name: str, called: str) -> None:
    proto = _model("v = DequantizeLinear(k, half) y = Add(x, v)", opset=21)
    eights = helper.make_tensor("k", onnx.TensorProto.FLOAT8E4M3FN, (4,), [1.0, 2.0, 3.0, 4.0])
    proto.graph.initializer.append(eights)
    proto.graph.node[0].name = name
    with pytest.raises(PReLUToolsError) as raised:
        meaning_of(whole(proto))
    assert str(raised.value) == (
        f"node {called!r} has codes of type float8e4m3fn: expected integers"
    )


@pytest.mark.parametrize("body", ["y = Relu(x)", f"{ENTER} y = Relu(x)"])
def test_what_depends_on_no_codes_means_nothing_else(body: str) -> None:
    assert meaning_of(whole(_model(body))) is None
    assert noticed_meaning(whole(_model(body))) is None
    found = noticed_meaning(whole(_model(EXACT["moved"][1])))
    assert found is not None
    assert found.kind == "QDQ"


REFUSED = {
    "computed scale": ("s = ReduceMax<keepdims = 0>(x) q = QuantizeLinear(x, s, u3)"
                       " y = DequantizeLinear(q, half, u3)",
                       "the scale or zero point 's' is computed as the model runs"),
    "no scale": ("q = QuantizeLinear(x, bad, u3) y = DequantizeLinear(q, half, u3)",
                 "node 'q' (QuantizeLinear) has a scale that is not a positive number"),
    "zero scale": ("q = QuantizeLinear(x, nought, u3) y = DequantizeLinear(q, half, u3)",
                   "node 'q' (QuantizeLinear) has a scale that is not a positive number"),
    "output": ("t = Relu(x) y = QuantizeLinear(t, half, u3)",
               "output 'y' of the model is integer codes"),
    "unknown": (f"{ENTER} t = Shrink(q) y = DequantizeLinear(t, half, u100)",
                "node 't' (Shrink) works on integer codes in a way that is not supported"),
    "custom": (f"{ENTER} t = {M}Transpose(q) y = DequantizeLinear(t, half, u100)",
               "node 't' (Transpose) works on integer codes in a way that is not supported"),
    "unknown and quantized": (f"t = {M}QAttention(x) y = Relu(t)",
                              "node 't' (QAttention) is quantized, or contains quantized nodes, in "
                              "a way that is not supported"),
    "two activations": ("q, s, z = DynamicQuantizeLinear(x) i = MatMulInteger(q, q, z, z)"
                        " y = Cast<to = 1>(i)", "node 'i' multiplies two activations"),
    "outside": ("i = Cast<to = 2>(x) y = DequantizeLinear(i, half, u3)",
                "the codes 'i' come from outside the model"),
    "outside of an operator": (
        f"i = Cast<to = 2>(x) r = {M}QLinearSigmoid(i, half, u3, half, u3)"
        " y = DequantizeLinear(r, half, u3)", "the codes 'i' come from outside the model"),
    "two scales": (f"{ENTER} y = DequantizeLinear(q, two, twice)",
                   "the codes of 'q' are read with scales of another shape"),
    "a table of scales": ("q = QuantizeLinear(x, table, u3) y = DequantizeLinear(q, half, u3)",
                          "node 'q' (QuantizeLinear) quantizes an activation in blocks"),
    "channels last": (f"{ENTER} r = {M}QLinearGlobalAveragePool<channels_last = 1>(q, half, u100,"
                      " half, u3) y = DequantizeLinear(r, half, u3)",
                      "node 'r' has its channels last"),
    "scales of another shape": (f"{ENTER} y = DequantizeLinear(q, scales, zeros)",
                                "the codes of 'q' are read with scales of another shape"),
    "other axes": ("q = QuantizeLinear<axis = 1>(x, scales, zeros)"
                   " y = DequantizeLinear<axis = 2>(q, scales, zeros)",
                   "the codes of 'q' are read with scales of another shape"),
    "inputs missing": (f"{ENTER} r = QLinearConv(q, half, u100) y = Relu(x)", None),
    "inputs missing in use": (f"{ENTER} r = QLinearConv(q, half, u100)"
                              " y = DequantizeLinear(r, half, u3)",
                              "node 'r' (QLinearConv) cannot be interpreted: not enough values"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_in_words(name: str) -> None:
    body, words = REFUSED[name]
    proto = _model(
        body, bad=np.float32(np.inf), nought=np.float32(0), two=np.float32([1, 2]),
        twice=np.uint8([1, 2]), table=np.float32([[1, 2]]),
    )  # fmt: skip
    if words is None:
        assert meaning_of(whole(proto)) is None
        return
    with pytest.raises(PReLUToolsError) as raised:
        meaning_of(whole(proto))
    assert words in str(raised.value)


def test_nodes_with_names_are_called_by_them() -> None:
    proto = _model(REFUSED["channels last"][0])
    proto.graph.node[1].name = "Mean_7"
    with pytest.raises(PReLUToolsError, match=r"^node 'Mean_7' has its channels last$"):
        meaning_of(whole(proto))


def test_blocks_of_activations_and_codes_with_a_point_are_refused() -> None:
    block = _model("q = QuantizeLinear(x, half, i5) y = DequantizeLinear(q, half, i5)", opset=21)
    block.graph.node[0].attribute.append(helper.make_attribute("block_size", 2))
    with pytest.raises(PReLUToolsError, match=r"node 'q' \(QuantizeLinear\) quantizes an activ"):
        meaning_of(whole(block))
    eighth = _model("q = QuantizeLinear(x, half) y = DequantizeLinear(q, half)", opset=23)
    eighth.graph.node[0].attribute.append(
        helper.make_attribute("output_dtype", onnx.TensorProto.FLOAT8E4M3FN)
    )
    with pytest.raises(PReLUToolsError, match=r"\(QuantizeLinear\) has codes of type float8e4m3fn"):
        meaning_of(whole(eighth))


@pytest.mark.parametrize(
    ("body", "slopes"),
    [
        ("y = PRelu(x, act)", [0.5, 0.25, 1.0]),
        ("s = DequantizeLinear(act_quantized, half) y = PRelu(x, s)", [2.0, -1.0, 3.0]),
        (f"{ENTER} t = Shrink(q) r = DequantizeLinear(t, half, u100) y = PRelu(r, act)",
         [0.5, 0.25, 1.0]),
    ],
    ids=["floating point", "quantized", "unknown meaning"],
)  # fmt: skip
def test_layers_are_found_in_what_a_graph_means_if_that_is_known(
    body: str, slopes: list[float]
) -> None:
    shape = (3, 1, 1)
    proto = _model(body, act=np.float32([0.5, 0.25, 1.0]).reshape(shape),
                   act_quantized=np.int8([4, -2, 6]).reshape(shape))  # fmt: skip
    (found,) = located_layers(whole(proto))
    assert found.layer.name == "act"
    assert found.layer.slopes.ravel().tolist() == slopes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("QLinearConv QLinearAdd QuantizeLinear DequantizeLinear DynamicQuantizeLinear "
         "DynamicQuantizeLSTM QGemm ConvInteger MatMulInteger MatMulIntegerToFloat QAttention "
         "QEmbedLayerNormalization QOrderedMatMul QMoE MatMulNBits MatMulBnb4 "
         "GatherBlockQuantized", True),
        ("Conv MatMul Gemm PRelu Gather Quantize MoE LSTM Attention", False),
    ],
)  # fmt: skip
def test_operators_that_know_of_codes(names: str, expected: bool) -> None:
    for name in names.split():
        assert is_quantizing(helper.make_node(name, [], [])) is expected, name


def test_a_file_keeps_its_place_and_what_is_in_memory() -> None:
    proto = _model(EXACT["moved"][1])
    model = OnnxModel(proto, Path("folder/net.onnx"), {"k": np.float32([1])})
    found = meaning_of(model)
    assert found is not None
    assert (found.model.file, found.model.memory) == (model.file, model.memory)
    assert found.model.memory is not model.memory
