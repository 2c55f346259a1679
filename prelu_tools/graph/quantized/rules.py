"""The floating-point counterpart of each operator on integer codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.quantized.codes import Codes
from prelu_tools.graph.quantized.writer import MICROSOFT, FloatWriter, Rule
from prelu_tools.graph.walk import attribute_of

_INTEGER: Final = {"ConvInteger": ("Conv", 0), "MatMulInteger": ("MatMul", 1)}
_BINARY: Final = {"QLinearAdd": "Add", "QLinearMatMul": "MatMul", "QLinearMul": "Mul"}
_UNARY: Final = {
    "QLinearLeakyRelu": "LeakyRelu", "QLinearSigmoid": "Sigmoid",
    "QLinearGlobalAveragePool": "GlobalAveragePool", "QLinearAveragePool": "AveragePool",
    "QLinearSoftmax": "Softmax",
}  # fmt: skip


def _quantize(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QDQ")
    x, scale, *zero = node.input
    to.give(x, node.output[0], to.stated(scale, zero[0] if zero else "", node))


def _dequantize(to: FloatWriter, node: onnx.NodeProto) -> None:
    x, scale, *zero = node.input
    stated = to.stated(scale, zero[0] if zero else "", node)
    to.add("Identity", [to.reals(x, stated)], node.output[0])


def _dynamic(to: FloatWriter, node: onnx.NodeProto) -> None:
    """Scale and zero point become 1 and 0: the codes are the numbers themselves."""
    to.kinds.add("dynamic")
    y, scale, zero = node.output
    one = Codes(np.ones((), np.float32), np.zeros((), np.uint8))
    to.add("Identity", [node.input[0]], y)
    to.codes[y] = one
    to.tensors.append(numpy_helper.from_array(one.scale, scale))
    to.tensors.append(numpy_helper.from_array(one.zero, zero))


def _integer_product(to: FloatWriter, node: onnx.NodeProto) -> None:
    """ConvInteger and MatMulInteger: codes times stored codes, without their scale."""
    x, weight, *zeros = node.input
    stored = values_of(to.view, weight)
    if stored is None or x not in to.codes:
        raise PReLUToolsError(f"node {node.name or node.output[0]!r} multiplies two activations")
    zero = to.constant(zeros[1]) if zeros[1:] and zeros[1] else np.zeros((), stored.dtype)
    operator, axis = _INTEGER[node.op_type]
    real = to.weight(weight, Codes(np.ones(zero.shape, np.float32), zero), axis)
    to.add(operator, [x, real], node.output[0], **_attributes(node))


def _linear_conv(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    x, xs, xz, w, ws, wz, ys, yz, *bias = node.input
    entering, weight = to.stated(xs, xz, node), to.stated(ws, wz, node)
    inputs = [to.operand(x, entering), to.operand(w, weight, 0)]
    if bias and bias[0]:
        scale = np.asarray(entering.scale.item() * weight.scale)
        inputs.append(to.weight(bias[0], Codes(scale, np.zeros(scale.shape, np.int32)), 0))
    made = to.add("Conv", inputs, to.fresh(f"{node.output[0]}/real"), **_attributes(node))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _gemm(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    a, a_scale, a_zero, b, b_scale, b_zero, *rest = [*node.input, *[""] * 3]
    entering, weight = to.stated(a_scale, a_zero, node), to.stated(b_scale, b_zero, node)
    axis = 0 if attribute_of(node, "transB") else 1
    inputs = [to.operand(a, entering), to.operand(b, weight, axis)]
    bias, ys, yz = rest[:3]
    if bias:  # it counts alpha times too, unlike that of Gemm
        alpha = attribute_of(node, "alpha", 1.0)
        scale = np.asarray(alpha * entering.scale.item() * weight.scale)
        inputs.append(to.weight(bias, Codes(scale, np.zeros(scale.shape, np.int32)), 0))
    output = to.fresh(f"{node.output[0]}/real") if ys else node.output[0]
    made = to.add("Gemm", inputs, output, **_attributes(node))
    if ys:
        to.give(made, node.output[0], to.stated(ys, yz, node))


def _binary(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    a, a_scale, a_zero, b, b_scale, b_zero, ys, yz = node.input
    inputs = [to.operand(a, to.stated(a_scale, a_zero, node)),
              to.operand(b, to.stated(b_scale, b_zero, node))]  # fmt: skip
    made = to.add(_BINARY[node.op_type], inputs, to.fresh(f"{node.output[0]}/real"))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _unary(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    x, xs, xz, ys, *yz = node.input
    if attribute_of(node, "channels_last"):
        raise PReLUToolsError(f"node {node.name or node.output[0]!r} has its channels last")
    own = ("channels_last", "opset")
    attributes = {k: v for k, v in _attributes(node).items() if k not in own}
    made = to.add(_UNARY[node.op_type], [to.operand(x, to.stated(xs, xz, node))],
                  to.fresh(f"{node.output[0]}/real"), **attributes)  # fmt: skip
    to.give(made, node.output[0], to.stated(ys, yz[0] if yz else "", node))


def _concat(to: FloatWriter, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    ys, yz, *parts = node.input
    groups = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    inputs = [to.operand(x, to.stated(scale, zero, node)) for x, scale, zero in groups]
    made = to.add("Concat", inputs, to.fresh(f"{node.output[0]}/real"), **_attributes(node))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("", "QuantizeLinear"): _quantize,
    ("", "DequantizeLinear"): _dequantize,
    (MICROSOFT, "QuantizeLinear"): _quantize,
    (MICROSOFT, "DequantizeLinear"): _dequantize,
    ("", "DynamicQuantizeLinear"): _dynamic,
    **{("", name): _integer_product for name in _INTEGER},
    ("", "QLinearConv"): _linear_conv,
    ("", "QLinearMatMul"): _binary,
    (MICROSOFT, "QGemm"): _gemm,
    (MICROSOFT, "QLinearConcat"): _concat,
    **{(MICROSOFT, name): _binary for name in ("QLinearAdd", "QLinearMul")},
    **{(MICROSOFT, name): _unary for name in _UNARY},
}
"""By the domain and the name of an operator."""
