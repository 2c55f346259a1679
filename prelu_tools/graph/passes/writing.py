"""How forms are written: the nodes that replace one PRelu node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.metadata import NEGATED, SLOPE_NAME, SLOPE_SHAPE
from prelu_tools.graph.walk import free_name, inner_names


class Tensors:
    """Initializers that are added to a graph: one of each name and value, however often used."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        """Know the names that are taken."""
        self._graph = graph
        self._taken = {tensor.name for tensor in graph.initializer}
        self._taken |= {value.name for value in [*graph.input, *graph.output]}
        self._taken |= {name for node in graph.node for name in node.output} | inner_names(graph)
        self._made: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, name: str, values: Array) -> str:
        """An initializer of this name, or of the next one that is free; its name."""
        key = (name, values.shape, values.tobytes())
        if key not in self._made:
            self._made[key] = self.free(name)
            self._graph.initializer.append(numpy_helper.from_array(values, self._made[key]))
        return self._made[key]

    def free(self, name: str) -> str:
        """The name itself or a numbered one, which is taken from now on."""
        return free_name(name, self._taken)


class Draft:
    """The nodes of one PReLU, as they are put together."""

    def __init__(self, node: onnx.NodeProto, slopes: Array, parameter: str, tensors: Tensors):
        """Start with none.

        Args:
            node: the PRelu node whose place they take: its name, output and metadata are kept.
            slopes: such that they broadcast to its input.
            parameter: the name of the slope tensor.
            tensors: where constants go.
        """
        self.x = node.input[0]
        self.slopes = slopes
        self.nodes: list[onnx.NodeProto] = []
        self._node = node
        self._parameter = parameter
        self._tensors = tensors

    def constant(self, number: str, slopes: Array) -> str:
        """A constant: one for each slope, or 0 for all; if made from slopes, it has their name."""
        own = self._parameter
        match number:
            case "0":
                return self._tensors.add("prelu_tools/zero", np.zeros((), slopes.dtype))
            case "-1":
                name = f"prelu_tools/minus_one_{'x'.join(map(str, slopes.shape))}"
                return self._tensors.add(name, np.full_like(slopes, -1))
            case "-a":
                return self._tensors.add(f"{own}{NEGATED}", -slopes)
            case "1-a":
                return self._tensors.add(f"{own}/rest", (1 - slopes).astype(slopes.dtype))
        return self._tensors.add(own, slopes)

    def op(self, kind: str, inputs: Sequence[str], role: str, **attributes: Any) -> str:
        """A node on the way; the tensor that it makes."""
        output = self._tensors.free(f"{self._node.output[0]}/{role}")
        name = f"{self._node.name or self._node.output[0]}/{role}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def result(self, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes the output: it is the one that is called like the layer."""
        node = helper.make_node(
            kind, list(inputs), [self._node.output[0]], self._node.name, **attributes
        )
        node.metadata_props.extend(self._node.metadata_props)
        self.nodes.append(node)

    def state_slopes(self) -> None:
        """Add the slopes' name and shape to the last node as metadata, if no tensor has them."""
        props = self.nodes[-1].metadata_props
        props.add(key=SLOPE_NAME, value=self._parameter)
        props.add(key=SLOPE_SHAPE, value=",".join(map(str, self.slopes.shape)))


@dataclass(frozen=True)
class Place:
    """What decides which forms can replace a PReLU."""

    slopes: Array
    """In true sign, such that they broadcast to the input."""
    input_shape: Shape | None
    """None for a dynamic size; None if unknown."""


@dataclass(frozen=True)
class Writing:
    """How a form is written, and where it equals the PRelu node."""

    text: str
    """Its operators; the last one makes the output. Other tensors are named by their purpose; x is
    the input, a the slopes, and `-1` is one number for each slope, like `-a`."""
    fits: Callable[[Place], bool] = lambda place: True
    """Whether it can be used at a place."""
    special: bool = True
    """Whether it equals PRelu for infinities and NaN too."""
    rounds: bool = False
    """Whether it rounds otherwise than PRelu, which multiplies once."""


def write(draft: Draft, form: str) -> None:
    """Put the nodes of a form together."""
    made = {"x": draft.x}
    *steps, last = WRITTEN[form].text.split("; ")
    for step in steps:
        role, _, operation = step.partition(" = ")
        kind, inputs, attributes = _read(draft, operation, made)
        made[role] = draft.op(kind, inputs, role, **attributes)
    kind, inputs, attributes = _read(draft, last, made)
    draft.result(kind, inputs, **attributes)
    if not steps and len(inputs) == 1:
        draft.state_slopes()


def _read(
    draft: Draft, operation: str, made: Mapping[str, str]
) -> tuple[str, list[str], dict[str, Any]]:
    """The operator, inputs and attributes of `Operator(input, input)`."""
    kind, _, operands = operation.removesuffix(")").partition("(")
    slopes, attributes = draft.slopes, dict[str, Any]()
    if kind == "Conv":  # by channels
        slopes = slopes.reshape(-1, 1, 1, 1)
        attributes = {"group": slopes.size, "kernel_shape": [1, 1]}
    elif kind == "LeakyRelu":
        attributes = {"alpha": float(slopes.reshape(-1)[0])}
    names = operands.split(", ")
    inputs = [made[name] if name in made else draft.constant(name, slopes) for name in names]
    return kind, inputs, attributes


def all_equal(place: Place) -> bool:
    """Whether one slope is all slopes, to the bit."""
    bits = np.ascontiguousarray(place.slopes).reshape(-1).view(f"u{place.slopes.itemsize}")
    return bool((bits == bits[0]).all())


def all_are(value: float) -> Callable[[Place], bool]:
    """Whether all slopes are this value; 0 is not -0."""

    def fits(place: Place) -> bool:
        return bool((place.slopes == value).all() and not np.signbit(place.slopes).any())

    return fits


def at_most_one(place: Place) -> bool:
    """Whether max(x, a * x) is PReLU: no slope above 1."""
    return bool((place.slopes <= 1).all())


def at_most_one_and_not_zero(place: Place) -> bool:
    """The same, and no slope at which infinity times it is NaN."""
    return at_most_one(place) and bool((place.slopes != 0).all())


def between_zero_and_one(place: Place) -> bool:
    """Whether neither a nor 1 - a makes a large number larger, or NaN of infinity times 0."""
    return bool(((place.slopes > 0) & (place.slopes < 1)).all())


def by_channel(place: Place) -> bool:
    """Whether there is a slope for each channel of an image: axis 1 of 4."""
    shape = place.input_shape
    if shape is None or len(shape) != 4 or shape[1] is None or place.slopes.ndim < 3:
        return False
    return place.slopes.size == shape[1] and place.slopes.shape[-3] == shape[1]


WRITTEN: Mapping[str, Writing] = {
    "prelu": Writing("PRelu(x, a)"),
    "relu": Writing("Relu(x)", all_are(0.0), special=False),
    "identity": Writing("Identity(x)", all_are(1.0)),
    "leaky_relu": Writing("LeakyRelu(x)", all_equal),
    "depthwise": Writing(
        "negated = Conv(x, -1); negative = Relu(negated); scaled = Conv(negative, -a); "
        "positive = Relu(x); Add(positive, scaled)",
        by_channel,
    ),
    # onnxruntime turns a Mul by one number a channel into a convolution in its blocked layout, a
    # Neg or a Mul by a scalar not (docs/performance.md).
    "relu_mul": Writing(
        "negated = Mul(x, -1); negative = Relu(negated); positive = Relu(x); "
        "scaled = Mul(negative, -a); Add(positive, scaled)"
    ),
    "relu_neg": Writing(
        "negated = Neg(x); negative = Relu(negated); positive = Relu(x); "
        "scaled = Mul(negative, -a); Add(positive, scaled)"
    ),
    "max_min": Writing(
        "negative = Min(x, 0); positive = Max(x, 0); scaled = Mul(negative, a); "
        "Add(positive, scaled)"
    ),
    "max": Writing("scaled = Mul(x, a); Max(x, scaled)", at_most_one_and_not_zero),
    "max_neg": Writing(
        "negative = Min(x, 0); scaled = Mul(negative, a); Max(x, scaled)", at_most_one
    ),
    "linear": Writing(
        "positive = Relu(x); kept = Mul(positive, 1-a); scaled = Mul(x, a); Add(kept, scaled)",
        between_zero_and_one,
        special=False,
        rounds=True,
    ),
}
"""How forms are written, by their names."""
