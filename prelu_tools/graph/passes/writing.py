"""How forms are written: the nodes that a form puts in the place of one PRelu node."""

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

    def slope(self, values: Array, suffix: str = "") -> str:
        """A constant that is made of the slopes; the suffix of its name says how."""
        return self._tensors.add(f"{self._parameter}{suffix}", values)

    def constant(self, values: Array, name: str) -> str:
        """A constant that has nothing to do with the slopes."""
        return self._tensors.add(f"prelu_tools/{name}", values)

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
        """Note on the last node what it has no tensor for: the name and the shape of the slopes."""
        props = self.nodes[-1].metadata_props
        props.add(key=SLOPE_NAME, value=self._parameter)
        props.add(key=SLOPE_SHAPE, value=",".join(map(str, self.slopes.shape)))


@dataclass(frozen=True)
class Place:
    """What has to be known of the place of a PReLU to say which forms can stand there."""

    slopes: Array
    """In true sign, such that they broadcast to the input."""
    input_shape: Shape | None
    """None for a dynamic size; None if unknown."""


@dataclass(frozen=True)
class Writing:
    """How a form is written, and where it equals the PRelu node."""

    build: Callable[[Draft], None]
    """Puts its nodes together."""
    fits: Callable[[Place], bool] = lambda place: True
    """Whether it can stand in a place."""
    special: bool = True
    """Whether it gives what PRelu gives for infinities and NaN too."""
    rounds: bool = False
    """Whether it rounds otherwise than PRelu, which multiplies once."""


def _times(draft: Draft, tensor: str, values: Array, role: str, suffix: str = "") -> str:
    return draft.op("Mul", [tensor, draft.slope(values, suffix)], role)


def write_prelu(draft: Draft) -> None:
    """The operator itself."""
    draft.result("PRelu", [draft.x, draft.slope(draft.slopes)])


def write_relu(draft: Draft) -> None:
    """All slopes are 0."""
    draft.result("Relu", [draft.x])
    draft.state_slopes()


def write_identity(draft: Draft) -> None:
    """All slopes are 1."""
    draft.result("Identity", [draft.x])
    draft.state_slopes()


def write_leaky_relu(draft: Draft) -> None:
    """All slopes are equal."""
    draft.result("LeakyRelu", [draft.x], alpha=float(draft.slopes.reshape(-1)[0]))
    draft.state_slopes()


def write_relu_mul(draft: Draft) -> None:
    """relu(x) + (-a) * relu((-1) * x), with a -1 for each slope.

    onnxruntime turns a Mul by one number a channel into a convolution in its blocked layout, a Neg
    or a Mul by a scalar not (docs/performance.md).
    """
    minus = np.full(draft.slopes.shape, -1, draft.slopes.dtype)
    ones = draft.constant(minus, f"minus_one_{'x'.join(map(str, minus.shape))}")
    negative = draft.op("Relu", [draft.op("Mul", [draft.x, ones], "negated")], "negative")
    positive = draft.op("Relu", [draft.x], "positive")
    draft.result("Add", [positive, _times(draft, negative, -draft.slopes, "scaled", NEGATED)])


def write_relu_neg(draft: Draft) -> None:
    """relu(x) + (-a) * relu(-x)."""
    negative = draft.op("Relu", [draft.op("Neg", [draft.x], "negated")], "negative")
    positive = draft.op("Relu", [draft.x], "positive")
    draft.result("Add", [positive, _times(draft, negative, -draft.slopes, "scaled", NEGATED)])


def write_depthwise(draft: Draft) -> None:
    """relu(x) + conv(-a, relu(conv(-1, x))) with depthwise 1x1 convolutions."""
    n = draft.slopes.size
    kernel = (n, 1, *[1] * (draft.slopes.ndim - 1 if draft.slopes.ndim == 3 else 2))
    dtype = draft.slopes.dtype
    minus = draft.constant(np.full(kernel, -1, dtype), f"minus_one_{'x'.join(map(str, kernel))}")
    sizes = {"group": n, "kernel_shape": [1] * (len(kernel) - 2)}
    negated = draft.op("Conv", [draft.x, minus], "negated", **sizes)
    negative = draft.op("Relu", [negated], "negative")
    weight = draft.slope(-draft.slopes.reshape(kernel), NEGATED)
    scaled = draft.op("Conv", [negative, weight], "scaled", **sizes)
    positive = draft.op("Relu", [draft.x], "positive")
    draft.result("Add", [positive, scaled])


def write_max(draft: Draft) -> None:
    """max(x, a * x)."""
    draft.result("Max", [draft.x, _times(draft, draft.x, draft.slopes, "scaled")])


def write_max_neg(draft: Draft) -> None:
    """max(x, a * min(x, 0))."""
    zero = draft.constant(np.zeros((), draft.slopes.dtype), "zero")
    negative = draft.op("Min", [draft.x, zero], "negative")
    draft.result("Max", [draft.x, _times(draft, negative, draft.slopes, "scaled")])


def write_max_min(draft: Draft) -> None:
    """max(x, 0) + a * min(x, 0)."""
    zero = draft.constant(np.zeros((), draft.slopes.dtype), "zero")
    negative = draft.op("Min", [draft.x, zero], "negative")
    positive = draft.op("Max", [draft.x, zero], "positive")
    draft.result("Add", [positive, _times(draft, negative, draft.slopes, "scaled")])


def write_linear(draft: Draft) -> None:
    """(1 - a) * relu(x) + a * x."""
    rest = (1 - draft.slopes).astype(draft.slopes.dtype)
    positive = draft.op("Relu", [draft.x], "positive")
    kept = _times(draft, positive, rest, "kept", "/rest")
    draft.result("Add", [kept, _times(draft, draft.x, draft.slopes, "scaled")])


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
    "prelu": Writing(write_prelu),
    "relu": Writing(write_relu, all_are(0.0), special=False),
    "identity": Writing(write_identity, all_are(1.0)),
    "leaky_relu": Writing(write_leaky_relu, all_equal),
    "depthwise": Writing(write_depthwise, by_channel),
    "relu_mul": Writing(write_relu_mul),
    "relu_neg": Writing(write_relu_neg),
    "max_min": Writing(write_max_min),
    "max": Writing(write_max, at_most_one_and_not_zero),
    "max_neg": Writing(write_max_neg, at_most_one),
    "linear": Writing(write_linear, between_zero_and_one, special=False, rounds=True),
}
"""How forms are written, by their names."""
