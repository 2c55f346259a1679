"""What a quantized graph means: the same model in floating point, without rounding to codes.

Every tensor of integer codes becomes the tensor of the real numbers that they stand for, under the
same name; every operator on codes becomes the one that it approximates. What stays is all that the
file itself says: weights with their rounding, as DequantizeLinear of stored codes; ranges that cut
off at 0, because quantizers leave out a Relu where the codes end at 0 anyway; scales that differ
between one side and the other. What is gone is the rounding of activations, and the ends of their
ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import OWN, attribute_of, free_name, needed, reads

MICROSOFT: Final = "com.microsoft"
_QUANTIZING: Final = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
     "ConvInteger", "MatMulInteger"}
)  # fmt: skip
# Operators that only move codes, or pick some of them: they mean the same for the real numbers.
_PICKING: Final = frozenset(
    {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "MaxPool", "Slice",
     "Gather", "Expand", "DepthToSpace", "SpaceToDepth", "Tile", "Split"}
)  # fmt: skip
_COMPARING: Final = frozenset({"Max", "Min", "Concat"})
_BINARY: Final = {"QLinearAdd": "Add", "QLinearMul": "Mul"}
_UNARY: Final = {
    "QLinearLeakyRelu": "LeakyRelu", "QLinearSigmoid": "Sigmoid",
    "QLinearGlobalAveragePool": "GlobalAveragePool", "QLinearAveragePool": "AveragePool",
    "QLinearSoftmax": "Softmax",
}  # fmt: skip
_MOST_CODES: Final = {np.dtype(kind): np.iinfo(kind) for kind in
                      (np.uint8, np.int8, np.uint16, np.int16)}  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """How integer codes stand for real numbers: real = (code - zero) * scale."""

    scale: Array
    """One number, or one for each index of `axis`."""
    zero: Array
    """The same of the codes' type."""
    axis: int = 1

    def reals(self, codes: Array) -> Array:
        """The real numbers that codes stand for, float32."""
        shape = [1] * codes.ndim
        if self.scale.size > 1:
            shape[self.axis] = -1
        wide = codes.astype(np.float64) - self.zero.astype(np.float64).reshape(shape)
        return np.asarray(wide * self.scale.reshape(shape), np.float32)

    @property
    def step(self) -> float:
        """The largest distance between neighbours."""
        return float(np.max(self.scale))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest real number; infinite where the type has no ends here."""
        info = _MOST_CODES.get(self.zero.dtype)
        if info is None:
            return -np.inf, np.inf
        zero, scale = self.zero.astype(np.float64), self.scale.astype(np.float64)
        return float(((info.min - zero) * scale).min()), float(((info.max - zero) * scale).max())

    def same(self, other: Codes) -> bool:
        """Whether codes of the one are codes of the other."""
        pairs = ((self.scale, other.scale), (self.zero, other.zero))
        return all(np.array_equal(a.reshape(-1), b.reshape(-1)) for a, b in pairs)


@dataclass(frozen=True)
class Meaning:
    """A quantized model in floating point."""

    model: OnnxModel
    """The model; its quantized weights are DequantizeLinear of constants."""
    codes: Mapping[str, Codes]
    """Of each tensor that holds codes of activations in the file: how they stand for numbers."""
    weights: tuple[str, ...]
    """The tensors of this model that are weights dequantized."""
    rounded: tuple[str, ...]
    """Of `codes` those that the file rounds, and does not only hand on, with known ranges."""
    kind: str
    """`QDQ`, `QOperator`, `dynamic` or `weights only`."""

    @property
    def words(self) -> str:
        """The kind in words."""
        how = {"dynamic": "dynamically", "weights only": "in its weights only"}
        return how.get(self.kind, f"statically ({self.kind})")


def is_quantized(proto: onnx.ModelProto) -> bool:
    """Whether any node of a model's main graph quantizes; a fast look, without constants."""
    return any(
        (node.domain in OWN and node.op_type in _QUANTIZING)
        or (node.domain == MICROSOFT and ("QLinear" in node.op_type or node.op_type in _CODED))
        for node in proto.graph.node
    )


def meaning_of(model: OnnxModel) -> Meaning | None:
    """What a quantized model means; None for one that no output of which depends on codes.

    Raises:
        PReLUToolsError: an operator works on codes in a way that is not known here.
    """
    if not is_quantized(model.proto):
        return None
    proto = onnx.ModelProto()
    proto.CopyFrom(inlined(model.proto))
    plain = OnnxModel(proto, model.file, dict(model.memory))
    writer = _Writer(plain)
    writer.write()
    return writer.meaning()


@dataclass
class _Writer:
    """Writes the nodes of the model in floating point, one after the other."""

    model: OnnxModel
    codes: dict[str, Codes] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.view = GraphView(self.model)
        self._graph = self.model.proto.graph
        self._used = needed(self._graph)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._taken = {name for node in self._graph.node for name in [*node.input, *node.output]}
        self._taken |= {tensor.name for tensor in self._graph.initializer}
        self._constants = {
            name for node in self._graph.node for name in node.output if self.view.is_constant(name)
        }

    def write(self) -> None:
        """Every node, in the order of the graph."""
        for node in self.view.ordered:
            if not self._used.intersection(node.output):
                continue
            self._write(node)
        graph = self._graph
        del graph.node[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._tensors)
        kept = [value for value in graph.value_info if value.name not in self.codes]
        del graph.value_info[:]
        graph.value_info.extend(kept)
        inside = next((v.name for v in graph.output if v.name in self.codes), None)
        if inside is not None:
            raise PReLUToolsError(f"output {inside} of the model is integer codes")

    def meaning(self) -> Meaning | None:
        """What was written; None where nothing was quantized."""
        if not self.kinds:
            return None
        order = ("dynamic", "QOperator", "QDQ", "weights only")
        kind = next(kind for kind in order if kind in self.kinds)
        return Meaning(self.model, self.codes, tuple(self.weights), tuple(self.rounded), kind)

    def _write(self, node: onnx.NodeProto) -> None:
        if all(name in self._constants for name in node.output if name):
            self._nodes.append(node)
            if node.op_type == "DequantizeLinear":
                self.weights.append(node.output[0])
                self.kinds.add("weights only")
            return
        rule = _RULES.get((node.domain if node.domain == MICROSOFT else "", node.op_type))
        if rule is not None:
            rule(self, node)
        elif any(name in self.codes for name in reads(node)):
            self._pass_on(node)
        else:
            self._nodes.append(node)

    def constant(self, name: str) -> Array:
        """The values of a constant that a quantizing node has."""
        values = values_of(self.view, name)
        if values is None:
            raise PReLUToolsError(f"the scale or zero point {name!r} is computed as the model runs")
        return values

    def stated(self, scale: str, zero: str, node: onnx.NodeProto) -> Codes:
        """What a node says of the codes that it reads or writes."""
        values = self.constant(scale)
        kind = attribute_of(node, "output_dtype", 0)
        wanted = helper.tensor_dtype_to_np_dtype(kind) if kind else np.uint8
        point = self.constant(zero) if zero else np.zeros(values.shape, wanted)
        return Codes(values, point, int(attribute_of(node, "axis", 1)))

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """One node; the tensor that it makes."""
        name = free_name(f"{output}/{kind}", self._taken)
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def tensor(self, values: Array, name: str) -> str:
        """A constant of its own."""
        found = self.fresh(name)
        self._tensors.append(numpy_helper.from_array(np.asarray(values), found))
        return found

    def fresh(self, name: str) -> str:
        """A name that is free."""
        return free_name(name, self._taken)

    def reals(self, name: str, codes: Codes | None) -> str:
        """The tensor of the real numbers that a node reads, as it understands the codes."""
        made = self.codes.get(name)
        if codes is None or made is None or made.same(codes):
            return name
        if max(made.scale.size, codes.scale.size) > 1:
            raise PReLUToolsError(f"the codes of {name!r} are read with scales of another shape")
        ratio = float(codes.scale.reshape(-1)[0]) / float(made.scale.reshape(-1)[0])
        zeros = [float(part.zero.reshape(-1)[0]) for part in (made, codes)]
        shift = (zeros[0] - zeros[1]) * float(codes.scale.reshape(-1)[0])
        scaled = self.add("Mul", [name, self.tensor(np.float32(ratio), f"{name}/ratio")],
                          self.fresh(f"{name}/rescaled"))  # fmt: skip
        return self.add("Add", [scaled, self.tensor(np.float32(shift), f"{name}/shift")],
                        self.fresh(f"{name}/shifted"))  # fmt: skip

    def weight(self, name: str, codes: Codes, axis: int) -> str:
        """A stored weight, dequantized."""
        output = self.fresh(f"{name}/dequantized")
        scale = self.tensor(np.asarray(codes.scale), f"{name}/scale")
        zero = self.tensor(np.asarray(codes.zero), f"{name}/zero")
        self.add("DequantizeLinear", [name, scale, zero], output, axis=axis)
        self.weights.append(output)
        return output

    def operand(self, name: str, codes: Codes, axis: int = 1) -> str:
        """What an operator on codes reads: an activation or a stored weight, as real numbers."""
        if self.view.is_constant(name):
            return self.weight(name, codes, axis)
        return self.reals(name, codes)

    def give(self, made: str, output: str, codes: Codes) -> None:
        """The real numbers that a tensor of codes stands for: cut off where the codes end at 0."""
        low, high = codes.ends
        self.codes[output] = codes
        self.rounded.append(output)
        if low == 0:
            self.add("Relu", [made], output)
        elif high == 0:
            self.add("Min", [made, self.tensor(np.float32(0), f"{output}/zero")], output)
        else:
            self.add("Identity", [made], output)

    def _pass_on(self, node: onnx.NodeProto) -> None:
        """An operator of no rule that reads codes: one that only moves them is right as it is."""
        held = [self.codes[name] for name in node.input if name in self.codes]
        is_plain = node.domain in OWN and node.op_type in _PICKING | _COMPARING
        if not is_plain or any(not held[0].same(other) for other in held[1:]):
            raise PReLUToolsError(
                f"node {node.name or node.output[0]} ({node.op_type}) works on integer codes in a "
                "way that is not known here"
            )
        if node.op_type in _COMPARING and len(held) < len(node.input):
            raise PReLUToolsError(
                f"node {node.name or node.output[0]} ({node.op_type}) takes codes and constants"
            )
        self.codes.update(dict.fromkeys(node.output, held[0]))
        self._nodes.append(node)


def _quantize(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QDQ")
    x, scale, *zero = node.input
    to.give(x, node.output[0], to.stated(scale, zero[0] if zero else "", node))


def _dequantize(to: _Writer, node: onnx.NodeProto) -> None:
    x, scale, *zero = node.input
    if x not in to.codes:
        raise PReLUToolsError(f"node {node.name or node.output[0]} reads codes from outside")
    stated = to.stated(scale, zero[0] if zero else "", node)
    to.add("Identity", [to.reals(x, stated)], node.output[0])


def _dynamic(to: _Writer, node: onnx.NodeProto) -> None:
    """Scale and zero point become 1 and 0: the codes are the numbers themselves."""
    to.kinds.add("dynamic")
    y, scale, zero = node.output
    one = Codes(np.float32(1).reshape(()), np.uint8(0).reshape(()))
    to.add("Identity", [node.input[0]], y)
    to.codes[y] = one
    to._tensors.append(numpy_helper.from_array(np.float32(1).reshape(()), scale))
    to._tensors.append(numpy_helper.from_array(np.uint8(0).reshape(()), zero))


def _integer_product(operator: str) -> Callable[[_Writer, onnx.NodeProto], None]:
    """ConvInteger and MatMulInteger: codes times stored codes, without their scale."""

    def write(to: _Writer, node: onnx.NodeProto) -> None:
        x, weight, *zeros = node.input
        stored = values_of(to.view, weight)
        if stored is None or x not in to.codes:
            raise PReLUToolsError(f"node {node.name or node.output[0]} multiplies two activations")
        zero = to.constant(zeros[1]) if len(zeros) > 1 and zeros[1] else np.zeros((), stored.dtype)
        axis = 0 if operator == "Conv" else 1
        codes = Codes(np.ones(zero.shape, np.float32), zero)
        real = to.weight(weight, codes, axis)
        out = to.fresh(f"{node.output[0]}/real")
        to.add(operator, [x, real], out, **_attributes(node))
        to.add("Identity", [out], node.output[0])

    return write


def _linear_conv(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    x, xs, xz, w, ws, wz, ys, yz, *bias = node.input
    entering, weight = to.stated(xs, xz, node), to.stated(ws, wz, node)
    inputs = [to.operand(x, entering), to.operand(w, weight, 0)]
    if bias and bias[0]:
        scale = np.asarray(entering.scale.reshape(()) * weight.scale, np.float32)
        inputs.append(to.weight(bias[0], Codes(scale, np.zeros(scale.shape, np.int32)), 0))
    made = to.add("Conv", inputs, to.fresh(f"{node.output[0]}/real"), **_attributes(node))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _linear_product(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    a, a_scale, a_zero, b, b_scale, b_zero, ys, yz = node.input
    inputs = [to.operand(a, to.stated(a_scale, a_zero, node)),
              to.operand(b, to.stated(b_scale, b_zero, node))]  # fmt: skip
    made = to.add("MatMul", inputs, to.fresh(f"{node.output[0]}/real"))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _gemm(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    a, a_scale, a_zero, b, b_scale, b_zero, *rest = [*node.input, *[""] * (9 - len(node.input))]
    entering, weight = to.stated(a_scale, a_zero, node), to.stated(b_scale, b_zero, node)
    axis = 0 if attribute_of(node, "transB", 0) else 1
    inputs = [to.operand(a, entering), to.operand(b, weight, axis)]
    bias, ys, yz = rest[:3]
    if bias:
        scale = np.asarray(entering.scale.reshape(()) * weight.scale, np.float32)
        inputs.append(to.weight(bias, Codes(scale, np.zeros(scale.shape, np.int32)), 0))
    output = to.fresh(f"{node.output[0]}/real") if ys else node.output[0]
    made = to.add("Gemm", inputs, output, **_attributes(node))
    if ys:
        to.give(made, node.output[0], to.stated(ys, yz, node))


def _binary(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    a, a_scale, a_zero, b, b_scale, b_zero, ys, yz = node.input
    inputs = [to.operand(a, to.stated(a_scale, a_zero, node)),
              to.operand(b, to.stated(b_scale, b_zero, node))]  # fmt: skip
    made = to.add(_BINARY[node.op_type], inputs, to.fresh(f"{node.output[0]}/real"))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _unary(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    x, xs, xz, ys, *yz = node.input
    if attribute_of(node, "channels_last", 0):
        raise PReLUToolsError(f"node {node.name or node.output[0]} has its channels last")
    own = ("channels_last", "opset")
    attributes = {k: v for k, v in _attributes(node).items() if k not in own}
    made = to.add(_UNARY[node.op_type], [to.operand(x, to.stated(xs, xz, node))],
                  to.fresh(f"{node.output[0]}/real"), **attributes)  # fmt: skip
    to.give(made, node.output[0], to.stated(ys, yz[0] if yz else "", node))


def _concat(to: _Writer, node: onnx.NodeProto) -> None:
    to.kinds.add("QOperator")
    ys, yz, *parts = node.input
    groups = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    inputs = [to.operand(x, to.stated(scale, zero, node)) for x, scale, zero in groups]
    made = to.add("Concat", inputs, to.fresh(f"{node.output[0]}/real"), **_attributes(node))
    to.give(made, node.output[0], to.stated(ys, yz, node))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _rules() -> Iterator[tuple[tuple[str, str], Callable[[_Writer, onnx.NodeProto], None]]]:
    for domain in ("", MICROSOFT):
        yield (domain, "QuantizeLinear"), _quantize
        yield (domain, "DequantizeLinear"), _dequantize
    yield ("", "DynamicQuantizeLinear"), _dynamic
    yield ("", "ConvInteger"), _integer_product("Conv")
    yield ("", "MatMulInteger"), _integer_product("MatMul")
    yield ("", "QLinearConv"), _linear_conv
    yield ("", "QLinearMatMul"), _linear_product
    yield (MICROSOFT, "QGemm"), _gemm
    yield (MICROSOFT, "QLinearConcat"), _concat
    for name in _BINARY:
        yield (MICROSOFT, name), _binary
    for name in _UNARY:
        yield (MICROSOFT, name), _unary


_RULES = dict(_rules())
_CODED = frozenset(name for domain, name in _RULES if domain == MICROSOFT)
