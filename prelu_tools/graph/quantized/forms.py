"""PReLU in 8-bit integers: the nodes that take the place of a PRelu node in a QDQ graph.

onnxruntime's quantizer leaves PRelu in floating point, between a DequantizeLinear and a
QuantizeLinear. Where no slope is above 1, PReLU(x) = max(x, a * x). With one scale for x and its
result, that is a Max of codes: what is positive stays exactly as it is, and a * x is one product
that integer kernels compute. How that product is written decides what it costs:

- `int_max_conv`: a depthwise 1x1 convolution. A scale for each channel: slopes without rounding.
- `int_max_tiled`: a Mul with the slopes repeated along the rows of the map: one long product where
  few channels lie next to each other in memory, as onnxruntime keeps them (NHWC).
- `int_max`: the plain Mul.
- `int_split_conv`, `int_split_tiled`, `int_split`: max(x, 0) + a * min(x, 0) with the same three
  products, for slopes above 1 too. Each branch and the sum have their own scales, which loses less
  where most inputs are negative and slopes are small.
- `int_sum_conv`, `int_sum_tiled`, `int_sum`: x + (a - 1) * min(x, 0): an operator less, and a
  product with wider steps.
- `int_leaky`: LeakyRelu, where all slopes are equal: a table of 256 entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.graph.io.metadata import SLOPE_NAME, SLOPE_SHAPE
from prelu_tools.graph.passes.prune import prune
from prelu_tools.graph.walk import free_name, in_order, set_nodes, users_of

FLOAT: Final = "float"
"""No integer form: the layer stays in floating point."""
_FULL: Final = 127.0
_DIRECT: Final = ("MaxPool", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
"""Operators that codes go through as they are."""


@dataclass(frozen=True)
class IntegerPlace:
    """A PRelu node in a QDQ graph."""

    node: onnx.NodeProto
    """The node."""
    slopes: Array
    """Its slopes, such that they broadcast to its input."""
    shape: tuple[int, ...] | None
    """Shape of its input as the model ran; None if unknown."""
    is_sized: bool
    """Whether the size of its last axis is the same for all inputs."""
    source: onnx.NodeProto
    """The DequantizeLinear that its input comes from."""
    result: onnx.NodeProto | None
    """The QuantizeLinear after its result, past operators that only move values; None for none."""
    keeps_scale: bool
    """Whether that one has the scale of its input; true if there is none."""
    codes: np.dtype[Any]
    """The type of the codes of its input."""

    @property
    def by_channel(self) -> bool:
        """Whether there is a slope for each channel of a map: axis 1 of 4."""
        if self.shape is None or len(self.shape) != 4 or self.slopes.ndim < 3:
            return False
        return bool(self.slopes.size == self.shape[1] == self.slopes.shape[-3])


def fitting_integer_forms(place: IntegerPlace, fastest: bool = False) -> tuple[str, ...]:
    """The forms that can be used at a place: integer ones, the most exact first; then `float`.

    Args:
        place: the place.
        fastest: whether to take forms that are less exact for being faster.
    """
    slopes = place.slopes
    found = []
    if place.result is not None and (slopes == slopes.reshape(-1)[0]).all():
        found.append("int_leaky")
    if place.codes.itemsize > 1:
        return (FLOAT,)
    family = "int_max" if (slopes <= 1).all() and place.keeps_scale else "int_split"
    if place.result is None and family == "int_split":
        return (FLOAT,)  # nothing after it is quantized: rounding its result would only lose
    kinds = [""]
    if place.by_channel and slopes.size > 1:
        kinds = ["_conv", *(["_tiled"] if place.is_sized else []), ""]
    families = [family, *(["int_sum"] if fastest and family == "int_split" else [])]
    return (*found, *(f"{each}{kind}" for each in families for kind in kinds), FLOAT)


def followers(users: Mapping[str, Sequence[onnx.NodeProto]], tensor: str) -> list[str]:
    """The tensors that operators make of a tensor which codes go through as they are."""
    found: list[str] = []
    left = [tensor]
    while left:
        for user in users.get(left.pop(), ()):
            if user.op_type in _DIRECT and user.output[0] not in found:
                found.append(user.output[0])
                left.append(user.output[0])
    return found


@dataclass
class IntegerWriter:
    """Writes integer forms into a QDQ graph, in place."""

    proto: onnx.ModelProto
    """The graph, as onnxruntime's quantizer wrote it."""
    shapes: Mapping[str, tuple[int, ...]]
    """The shape of each layer's input, by the tensor's name before quantization."""
    sized: frozenset[str] = frozenset()
    """Tensors whose last axis always has the same size."""
    _tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _nodes: list[onnx.NodeProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.proto.graph
        self._values = {tensor.name: tensor for tensor in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._users = users_of(graph)
        self._taken = {*self._makers, *self._values} | {v.name for v in graph.input}

    def places(self, names: Mapping[str, str]) -> dict[str, IntegerPlace]:
        """The layers that can be written in integers.

        Args:
            names: the output tensor of each layer's PRelu node, by layer name.
        """
        found = {}
        for name, output in names.items():
            node = self._makers.get(output) or self._makers.get(f"{output}_QuantizeLinear_Input")
            if node is None or node.op_type != "PRelu":
                continue
            source = self._makers.get(node.input[0])
            slope = self._values.get(node.input[1])
            if source is None or source.op_type != "DequantizeLinear" or slope is None:
                continue
            plain = node.input[0].removesuffix("_DequantizeLinear_Output")
            result = self._quantizer(node.output[0])
            found[name] = IntegerPlace(
                node, np.asarray(numpy_helper.to_array(slope)), self.shapes.get(plain),
                plain in self.sized, source, result, self._is_same(result, source),
                numpy_helper.to_array(self._values[source.input[2]]).dtype,
            )  # fmt: skip
        return found

    def _quantizer(self, tensor: str) -> onnx.NodeProto | None:
        """The QuantizeLinear of a tensor, past operators that only move values."""
        found = [n for name in [tensor, *followers(self._users, tensor)]
                 for n in self._users.get(name, []) if n.op_type == "QuantizeLinear"]  # fmt: skip
        return found[0] if found else None

    def _is_same(self, result: onnx.NodeProto | None, source: onnx.NodeProto) -> bool:
        names = [] if result is None else zip(result.input[1:], source.input[1:], strict=True)
        pairs = [[numpy_helper.to_array(self._values[name]) for name in pair] for pair in names]
        return all(np.array_equal(mine, other) for mine, other in pairs)

    def write(self, places: Mapping[str, IntegerPlace], forms: Mapping[str, str]) -> None:
        """Write each layer in its form; those that are `float`, or no place, stay."""
        written: dict[str, list[onnx.NodeProto]] = {}
        gone: set[str] = set()
        self._free_slopes([p for name, p in places.items() if forms.get(name, FLOAT) != FLOAT])
        for name, place in places.items():
            form = forms.get(name, FLOAT)
            if form == FLOAT:
                continue
            self._nodes = []
            gone |= _BUILDERS[form](self, place)
            written[place.node.output[0]] = self._nodes
        graph = self.proto.graph
        nodes = []
        for node in graph.node:
            if node.output[0] not in gone:
                nodes += written.get(node.output[0], [node])
        set_nodes(graph, in_order(nodes))
        graph.initializer.extend(self._tensors.values())
        prune(graph)

    def _free_slopes(self, places: Sequence[IntegerPlace]) -> None:
        """Remove slopes that only these places use, so that their codes take their names."""
        own = {id(place.node) for place in places}
        for name in {place.node.input[1] for place in places}:
            if all(id(user) in own for user in self._users.get(name, [])):
                tensors = self.proto.graph.initializer
                tensors.remove(self._values[name])
                self._taken.discard(name)

    def constant(self, values: Array, name: str) -> str:
        """A constant under a free name."""
        found = free_name(name, self._taken)
        self._tensors[found] = numpy_helper.from_array(np.asarray(values), found)
        return found

    def op(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node; the tensor that it makes."""
        name = free_name(output, self._taken) if output not in self._makers else output
        self._nodes.append(helper.make_node(kind, list(inputs), [name], f"{name}/node",
                                            **attributes))  # fmt: skip
        return name

    def name_last(self, place: IntegerPlace) -> None:
        """Call the node that makes a place's result as the PRelu node was called."""
        self._nodes[-1].name = place.node.name
        self._nodes[-1].metadata_props.extend(place.node.metadata_props)

    def ends(self, place: IntegerPlace) -> tuple[float, float]:
        """The least and the largest number that the codes of a place's input stand for."""
        scale, zero = (numpy_helper.to_array(self._values[n]) for n in place.source.input[1:])
        info = np.iinfo(place.codes)
        return (int(info.min) - int(zero)) * float(scale), (info.max - int(zero)) * float(scale)

    def requantized(self, real: str, place: IntegerPlace, role: str) -> str:
        """A real tensor as codes with the scale of the place's input."""
        codes = [real, place.source.input[1], place.source.input[2]]
        return self.op("QuantizeLinear", codes, f"{_plain(place)}/{role}")

    def weight(self, values: Array, kind: np.dtype[Any], name: str, axis: int | None) -> str:
        """A stored tensor, dequantized: one scale, or one for each index of an axis."""
        codes, scale, zero = quantize_values(values, kind, axis)
        parts = [self.constant(codes, name), self.constant(scale, f"{name}_scale"),
                 self.constant(zero, f"{name}_zero_point")]  # fmt: skip
        more = {} if axis is None else {"axis": axis}
        return self.op("DequantizeLinear", parts, f"{name}_dequantized", **more)

    def give_real(self, real: str, place: IntegerPlace) -> None:
        """Let a real tensor be the result of a place, rounded to the codes that it comes to."""
        y = place.node.output[0]
        users = self._users.get(y, [])
        if users and all(user.op_type == "QuantizeLinear" for user in users):
            self._nodes[-1].output[0] = y
            return
        scale = place.source.input[1:] if place.result is None else place.result.input[1:]
        codes = self.op("QuantizeLinear", [real, *scale], f"{y}/codes")
        self._nodes.append(helper.make_node("DequantizeLinear", [codes, *scale], [y],
                                            f"{y}/dequantized"))  # fmt: skip

    def give(self, codes: str, place: IntegerPlace) -> set[str]:
        """Let codes with the scale of the input be the result of a place.

        Returns:
            What the nodes that go away make: those that quantized the result.
        """
        y = place.node.output[0]
        users = self._users.get(y, [])
        gone = {n.output[0] for n in users if n.op_type == "QuantizeLinear"}
        for name in gone:
            for user in self._users.get(name, []):
                user.input[:] = [codes if i == name else i for i in user.input]
        outputs = {value.name for value in self.proto.graph.output}
        if y in outputs or any(user.op_type != "QuantizeLinear" for user in users):
            scale = place.source.input[1:]
            self._nodes.append(helper.make_node("DequantizeLinear", [codes, *scale], [y],
                                                f"{y}/dequantized"))  # fmt: skip
        return gone


def quantize_values(
    values: Array, kind: np.dtype[Any], axis: int | None
) -> tuple[Array, Array, Array]:
    """Codes, scales and zero points of stored values.

    Along an axis: a scale for each index, symmetric about 0. Otherwise one scale, from the least to
    the largest value and 0.
    """
    info = np.iinfo(kind)
    wide = values.astype(np.float64)
    if axis is not None:
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = np.abs(wide).max(axis=others) / _FULL
        scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        codes = np.round(wide / scale.reshape(shape)).clip(-_FULL, _FULL).astype(np.int8)
        return codes, scale, np.zeros(scale.shape, np.int8)
    low, high = min(float(wide.min()), 0.0), max(float(wide.max()), 0.0)
    step = (high - low) / (info.max - info.min) or 1.0
    scale = np.asarray(step, np.float32)
    zero = np.asarray(np.clip(np.round(info.min - low / step), info.min, info.max), kind)
    codes = np.round(wide / float(scale)) + int(zero)
    return np.clip(codes, info.min, info.max).astype(kind), scale, zero


def _plain(place: IntegerPlace) -> str:
    return place.node.output[0].removesuffix("_QuantizeLinear_Input")


def _product(
    to: IntegerWriter, place: IntegerPlace, operand: str, factors: Array, kind: str
) -> str:
    """A real tensor times factors that broadcast like the slopes."""
    output = f"{_plain(place)}/scaled"
    name = place.node.input[1]
    if kind == "conv":
        n = factors.size
        kernel = to.weight(factors.reshape(n, 1, 1, 1), np.dtype(np.int8), name, 0)
        return to.op("Conv", [operand, kernel], output, group=n, kernel_shape=[1, 1])
    if kind == "tiled" and place.shape is not None:
        factors = np.ascontiguousarray(np.repeat(factors, place.shape[-1], axis=-1))
    return to.op("Mul", [operand, to.weight(factors, place.codes, name, None)], output)


def _max(to: IntegerWriter, place: IntegerPlace, kind: str) -> set[str]:
    """The larger one of x and a * x."""
    product = _product(to, place, place.node.input[0], place.slopes, kind)
    scaled = to.requantized(product, place, "scaled_quantized")
    result = to.op("Max", [place.source.input[0], scaled], f"{_plain(place)}/codes")
    to.name_last(place)
    return to.give(result, place)


def _leaky(to: IntegerWriter, place: IntegerPlace) -> set[str]:
    alpha = float(place.slopes.reshape(-1)[0])
    real = to.op("LeakyRelu", [place.node.input[0]], f"{_plain(place)}/leaky", alpha=alpha)
    to.name_last(place)
    stated = to._nodes[-1].metadata_props  # it has no tensor of slopes
    stated.add(key=SLOPE_NAME, value=place.node.input[1])
    stated.add(key=SLOPE_SHAPE, value=",".join(map(str, place.slopes.shape)))
    to.give_real(real, place)
    return set()


def _split(to: IntegerWriter, place: IntegerPlace, kind: str, whole: bool = False) -> set[str]:
    """The sum of max(x, 0) and a * min(x, 0); or, whole, of x and (a - 1) * min(x, 0)."""
    plain, factors = _plain(place), place.slopes - np.float32(1) if whole else place.slopes

    def branch(operator: str, role: str) -> str:
        inputs = [place.source.input[0], place.source.input[2]]
        part = to.op(operator, inputs, f"{plain}/{role}_quantized")
        return to.op("DequantizeLinear", [part, *place.source.input[1:]], f"{plain}/{role}")

    product = _product(to, place, branch("Min", "negative"), factors, kind)
    other = place.node.input[0] if whole else branch("Max", "positive")
    _, step, middle = quantize_values(factors * to.ends(place)[0], place.codes, None)
    names = f"{plain}/scaled_scale", f"{plain}/scaled_zero"
    codes = [to.constant(step, names[0]), to.constant(middle, names[1])]
    kept = to.op("QuantizeLinear", [product, *codes], f"{plain}/scaled_quantized")
    scaled = to.op("DequantizeLinear", [kept, *codes], f"{plain}/scaled_dequantized")
    real = to.op("Add", [other, scaled], f"{plain}/sum")
    to.name_last(place)
    to.give_real(real, place)
    return set()


_SUM: Final = partial(_split, whole=True)
_BUILDERS: Mapping[str, Callable[[IntegerWriter, IntegerPlace], set[str]]] = {
    "int_leaky": _leaky,
    **{
        f"int_{family}{f'_{kind}' if kind else ''}": partial(build, kind=kind)
        for family, build in (("max", _max), ("split", _split), ("sum", _SUM))
        for kind in ("conv", "tiled", "")
    },
}
