"""Constants, and what exporters put between a parameter and its use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.view import GraphView

LONGEST: Final = 64
"""How many nodes may stand in a row where one is looked through; no exporter writes ten."""
_LARGEST: Final = 1 << 24
_LARGER: Final = 10

Attributes = Mapping[str, onnx.AttributeProto]


def attributes(node: onnx.NodeProto) -> dict[str, onnx.AttributeProto]:
    """The attributes of a node by name."""
    return {attribute.name: attribute for attribute in node.attribute}


def permutation(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """What a Transpose node does to a tensor of this rank."""
    given = attributes(node).get("perm")
    return tuple(given.ints) if given else tuple(reversed(range(rank)))


@dataclass(frozen=True)
class Constant:
    """A tensor that does not depend on the model's input."""

    root: str
    """The initializer (or the output of the Constant node) that it begins at."""
    values: Array
    """Its values."""
    stored_shape: tuple[int, ...]
    """The shape that it has there, before any Reshape and its like."""


def read_constant(view: GraphView, tensor: str) -> Constant | None:
    """Follow a tensor back to the one parameter that it is made of; None where it is not constant.

    Through Identity, Reshape, Unsqueeze, Squeeze, Transpose, Expand, Cast, Neg and
    DequantizeLinear, whose other inputs are constants.

    Raises:
        PReLUToolsError: the nodes between are too many, or make too much of what is stored.
    """
    return _Reading(view).read(tensor, 0)


def is_constant(view: GraphView, tensor: str) -> bool:
    """Whether `read_constant` would find one, without reading values of parameters.

    Raises:
        PReLUToolsError: the nodes between are too many.
    """
    return _Reading(view).can_be_read(tensor, 0)


def refuse_chain(tensor: str) -> None:
    """Say no to a tensor that too many nodes in a row lead to.

    Raises:
        PReLUToolsError: always.
    """
    raise PReLUToolsError(
        f"tensor {tensor!r} is behind more than {LONGEST} nodes in a row that only turn, copy or "
        "scale it: such a graph is refused; simplify it (onnxsim, onnxslim)"
    )


class _Reading:
    """One look at a tensor; of what several nodes use, each is looked at once."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._read: dict[str, Constant | None] = {}
        self._known: dict[str, bool] = {}

    def read(self, tensor: str, depth: int) -> Constant | None:
        """See `read_constant`."""
        if tensor not in self._read:
            self._read[tensor] = self._computed(tensor, depth)
        return self._read[tensor]

    def _computed(self, tensor: str, depth: int) -> Constant | None:
        view = self._view
        if tensor in view.initializers:
            stored = view.model.values(view.initializers[tensor])
            return Constant(tensor, stored, stored.shape)
        node = view.maker(tensor)
        if node is None:
            return None
        if node.op_type == "Constant":
            values = _constant_node(view, node)
            return None if values is None else Constant(tensor, values, values.shape)
        step = _STEPS.get(node.op_type)
        if step is None:
            return None
        if depth > LONGEST:
            refuse_chain(tensor)
        parts = [self.read(name, depth + 1) if name else None for name in node.input]
        if any(part is None for part, name in zip(parts, node.input, strict=True) if name):
            return None
        arrays = [part.values if part else None for part in parts]
        first = parts[0] if parts else None
        if first is None:
            return None
        try:
            values = step(attributes(node), arrays)
        # A node that no runtime would run either.
        except (ValueError, TypeError, IndexError, KeyError, OverflowError):
            return None
        return Constant(first.root, values, first.stored_shape)

    def can_be_read(self, tensor: str, depth: int) -> bool:
        """See `is_constant`."""
        if tensor not in self._known:
            self._known[tensor] = self._looks_constant(tensor, depth)
        return self._known[tensor]

    def _looks_constant(self, tensor: str, depth: int) -> bool:
        if tensor in self._view.initializers:
            return True
        node = self._view.maker(tensor)
        if node is None or not (node.op_type == "Constant" or node.op_type in _STEPS):
            return False
        if depth > LONGEST:
            refuse_chain(tensor)
        return all(self.can_be_read(name, depth + 1) for name in node.input if name)


def fitting(shape: tuple[int, ...], *stored: Array) -> tuple[int, ...]:
    """The shape of a constant that is to be computed from these.

    Raises:
        PReLUToolsError: it would have more than 16 million elements, and ten times theirs.
    """
    wanted, held = math.prod(shape), sum(array.size for array in stored)
    if wanted > max(_LARGEST, _LARGER * held):
        raise PReLUToolsError(
            f"the graph makes a constant of shape {list(shape)[:9]} of {held:,} stored values: "
            "refused, it would fill the memory"
        )
    return shape


def _constant_node(view: GraphView, node: onnx.NodeProto) -> Array | None:
    for name, attribute in attributes(node).items():
        if name == "value":
            return view.model.values(attribute.t)
        if name in ("value_float", "value_floats"):
            given = attribute.f if name == "value_float" else list(attribute.floats)
            return np.asarray(given, dtype=np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(attribute.i if name == "value_int" else list(attribute.ints))
    return None


Step = Callable[[Attributes, list[Array | None]], Array]


def _given(array: Array | None) -> Array:
    if array is None:
        raise ValueError("an input that the operator needs is left out")
    return array


def _axes(attrs: Attributes, inputs: list[Array | None]) -> tuple[int, ...] | None:
    if "axes" in attrs:
        return tuple(attrs["axes"].ints)
    if len(inputs) > 1 and inputs[1] is not None:
        return tuple(int(axis) for axis in inputs[1])
    return None


def _reshape(_: Attributes, inputs: list[Array | None]) -> Array:
    data, target = _given(inputs[0]), _given(inputs[1])
    sizes = [data.shape[i] if size == 0 else int(size) for i, size in enumerate(target)]
    return data.reshape(sizes)


def _unsqueeze(attrs: Attributes, inputs: list[Array | None]) -> Array:
    return np.expand_dims(_given(inputs[0]), _axes(attrs, inputs) or ())


def _squeeze(attrs: Attributes, inputs: list[Array | None]) -> Array:
    return np.squeeze(_given(inputs[0]), _axes(attrs, inputs))


def _transpose(attrs: Attributes, inputs: list[Array | None]) -> Array:
    return _given(inputs[0]).transpose(tuple(attrs["perm"].ints) if "perm" in attrs else None)


def _expand(_: Attributes, inputs: list[Array | None]) -> Array:
    data, target = _given(inputs[0]), _given(inputs[1])
    shape = np.broadcast_shapes(data.shape, tuple(int(s) for s in target))
    return np.broadcast_to(data, fitting(shape, data))


def _cast(attrs: Attributes, inputs: list[Array | None]) -> Array:
    return _given(inputs[0]).astype(onnx.helper.tensor_dtype_to_np_dtype(attrs["to"].i))


def _dequantize(attrs: Attributes, inputs: list[Array | None]) -> Array:
    data, scale = _given(inputs[0]), _given(inputs[1])
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros_like(scale)
    if scale.ndim == 1 and data.ndim > 1:
        axis = attrs["axis"].i if "axis" in attrs else 1
        shape = [-1 if i == axis % data.ndim else 1 for i in range(data.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    fitting(np.broadcast_shapes(data.shape, scale.shape, zero.shape), data)
    return np.asarray((data.astype(scale.dtype) - zero.astype(scale.dtype)) * scale)


_STEPS: dict[str, Step] = {
    "Identity": lambda _, inputs: _given(inputs[0]),
    "Neg": lambda _, inputs: -_given(inputs[0]),
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Cast": _cast,
    "DequantizeLinear": _dequantize,
}
