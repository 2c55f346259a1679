"""Constants, and what exporters put between a parameter and its use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.view import GraphView

LONGEST: Final = 64
"""How many nodes may stand in a row where one is looked through; no exporter writes ten."""

_TURNS: Final = ("Identity", "Unsqueeze", "Squeeze", "Transpose")
_WIDEST: Final = 8
_HALF: Final = 2
# Other types are saturated, wrapped or rounded in ways that versions and attributes change.
_CAST_TO: Final = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in (
        "FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL", "INT8", "INT16", "INT32", "INT64",
        "UINT8", "UINT16", "UINT32", "UINT64",
    )
)  # fmt: skip

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
    return view.remembered(_Reading).read(tensor, 0)


def is_constant(view: GraphView, tensor: str) -> bool:
    """Whether `read_constant` would find one, without reading values of parameters.

    Raises:
        PReLUToolsError: the nodes between are too many.
    """
    return view.remembered(_Reading).can_be_read(tensor, 0)


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
    """The constants of a graph; each is looked at once."""

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
        view.budget.step()
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
            view.budget.take(_filled_by(node.op_type, arrays))
            with np.errstate(all="ignore"):
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
        self._view.budget.step()
        if tensor in self._view.initializers:
            return True
        node = self._view.maker(tensor)
        if node is None or not (node.op_type == "Constant" or node.op_type in _STEPS):
            return False
        if depth > LONGEST:
            refuse_chain(tensor)
        return all(self.can_be_read(name, depth + 1) for name in node.input if name)


def times(view: GraphView, left: Array, right: Array) -> Array:
    """The product of two constants, by numpy's rule.

    Raises:
        BudgetError: it is too large for the file.
    """
    shape = np.broadcast_shapes(left.shape, right.shape)
    view.budget.take(math.prod(shape) * max(left.itemsize, right.itemsize))
    with np.errstate(all="ignore"):
        return np.asarray(left * right)


def repeated(view: GraphView, value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A constant of one value.

    Raises:
        BudgetError: it is too large for the file.
    """
    view.budget.take(math.prod(shape) * dtype.itemsize)
    return np.full(shape, value, dtype)


def _filled_by(operator: str, arrays: list[Array | None]) -> int:
    """Bytes that the result of an operator takes, wherever it is not the input turned."""
    data = _given(arrays[0])
    if operator in _TURNS:
        return 0
    if operator == "Expand":
        sizes = tuple(int(size) for size in _given(arrays[1]))
        return math.prod(np.broadcast_shapes(data.shape, sizes)) * data.itemsize
    shapes = [array.shape for array in arrays if array is not None]
    shape = np.broadcast_shapes(*shapes) if operator == "DequantizeLinear" else data.shape
    return math.prod(shape) * _WIDEST


def _constant_node(view: GraphView, node: onnx.NodeProto) -> Array | None:
    if len(node.attribute) != 1:
        return None
    (attribute,) = node.attribute
    match attribute.name:
        case "value":
            return view.model.values(attribute.t)
        case "value_float" | "value_floats":
            given = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            return np.asarray(given, dtype=np.float32)
        case "value_int" | "value_ints":
            whole = attribute.i if attribute.name == "value_int" else list(attribute.ints)
            return np.asarray(whole, dtype=np.int64)
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


def _reshape(attrs: Attributes, inputs: list[Array | None]) -> Array:
    data, target = _given(inputs[0]), _given(inputs[1])
    keeps = not ("allowzero" in attrs and attrs["allowzero"].i)
    sizes = [data.shape[i] if keeps and size == 0 else int(size) for i, size in enumerate(target)]
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
    return np.broadcast_to(data, shape)


def _cast(attrs: Attributes, inputs: list[Array | None]) -> Array:
    data, kind = _given(inputs[0]), attrs["to"].i
    wanted = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if kind not in _CAST_TO or data.dtype.kind not in "biufV":
        raise ValueError("runtimes do not agree on what this Cast makes")
    if wanted.kind in "iu" and data.dtype.kind not in "biu":
        limits, whole = np.iinfo(wanted), np.trunc(data.astype(np.float64))
        if not ((whole >= limits.min) & (whole <= limits.max)).all():
            raise ValueError("a value is beyond the integers of that type")
    if data.dtype == np.float64 and wanted.itemsize == _HALF:
        data = data.astype(np.float32)  # as onnxruntime rounds
    return data.astype(wanted)


def _dequantize(attrs: Attributes, inputs: list[Array | None]) -> Array:
    data, scale = _given(inputs[0]), _given(inputs[1])
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), data.dtype)
    blocks = "block_size" in attrs and attrs["block_size"].i
    if blocks or "output_dtype" in attrs or data.dtype.kind not in "iu":
        raise ValueError("values in blocks, or of small floats, are not read here")
    if scale.ndim == 1 and data.ndim > 1:
        axis = attrs["axis"].i if "axis" in attrs else 1
        shape = [-1 if i == axis % data.ndim else 1 for i in range(data.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.ndim else zero
    whole = data.astype(np.int64) - zero.astype(np.int64)
    return np.asarray((whole.astype(np.float32) * scale.astype(np.float32)).astype(scale.dtype))


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
