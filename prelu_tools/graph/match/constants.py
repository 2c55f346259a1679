"""Constants: tensors that do not depend on the model's input, whichever operators compute them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.match.arithmetic import (
    ELEMENTWISE,
    MOVING,
    Inputs,
    attributes,
    given,
    n_elements,
)
from prelu_tools.graph.natives import computed
from prelu_tools.graph.view import GraphView

_KEPT: Final = 1 << 16  # bytes of a computed constant that a view remembers
_WIDEST: Final = 8  # bytes of an element
_MOST_ELEMENTS: Final = 1 << 20  # elements of inputs or outputs of onnx's reference implementation
_MOST_PRODUCTS: Final = 1 << 26  # of the sizes of its inputs
_TAKING_PARTS: Final = ("Mul", "Add", "Sub", "Div", "Max", "Min", "Sum", "Mean", "Where", "Concat")


class Constant(NamedTuple):
    """A tensor that does not depend on the model's input."""

    root: str
    """The initializer (or the output of the Constant node) that it begins at; of several the
    largest one, and of equals the first."""
    values: Array
    """Its values."""
    stored_shape: tuple[int, ...]
    """The shape that it has there, before any Reshape and its like."""


def read_constant(view: GraphView, tensor: str) -> Constant | None:
    """The values of a constant, computed now; None if it is none, or cannot be computed.

    Raises:
        PReLUToolsError: the nodes that compute it expand stored data too much.
    """
    if not view.is_constant(tensor):
        return None
    known: dict[str, Constant | None] = {}
    stack = [tensor]
    while stack:
        name = stack[-1]
        if name in known:
            stack.pop()
            continue
        home, place = view.home(name)
        remembered = home.remembered(_nothing_yet)
        if place in remembered:
            known[name] = remembered[place]
            continue
        node = home.maker(place) if place not in home.initializers else None
        needed = [] if node is None else [i for i in node.input if i and i not in known]
        if needed:
            stack += needed
            continue
        found = _stored(home, place) if node is None else _computed(home, node, place, known)
        known[name] = found
        if node is not None and (found is None or found.values.nbytes <= _KEPT):
            remembered[place] = found
    return known[tensor]


def _nothing_yet(_: GraphView) -> dict[str, Constant | None]:
    return {}


def _stored(view: GraphView, tensor: str) -> Constant | None:
    if tensor not in view.initializers:
        return None
    values = view.model.values(view.initializers[tensor])
    return Constant(tensor, values, values.shape)


def _computed(
    view: GraphView, node: onnx.NodeProto, tensor: str, known: dict[str, Constant | None]
) -> Constant | None:
    if node.op_type == "Constant":
        plain = _constant_node(view, node)
        return None if plain is None else Constant(tensor, plain, plain.shape)
    parts = [known[name] if name else None for name in node.input]
    if any(part is None for part, name in zip(parts, node.input, strict=True) if name):
        return None
    try:
        with np.errstate(all="ignore"):
            values = _values(view, node, tensor, [part.values if part else None for part in parts])
    # A node that no runtime would run either.
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError):
        return None
    if values is None:
        return None
    root = _root(node, [part for part in parts if part is not None])
    if root is None:
        return Constant(tensor, values, ())
    return Constant(root.root, values, root.stored_shape)


def _root(node: onnx.NodeProto, parts: Sequence[Constant]) -> Constant | None:
    """The input of a node that holds the parameter."""
    if not parts or node.op_type in ("ConstantOfShape", "Shape"):
        return None
    if node.op_type not in _TAKING_PARTS:
        return parts[0]
    sizes = [(math.prod(part.stored_shape), len(part.stored_shape)) for part in parts]
    return parts[sizes.index(max(sizes))]  # the first of equals


def _values(view: GraphView, node: onnx.NodeProto, tensor: str, inputs: Inputs) -> Array | None:
    step = ELEMENTWISE.get(node.op_type) or MOVING.get(node.op_type)
    if step is not None:
        attrs = attributes(node)
        view.budget.take(n_elements(node.op_type, attrs, inputs) * _WIDEST)
        return step(attrs, inputs)
    # onnx infers no shape of com.microsoft's
    like_first = node.op_type == "QuantizeLinear" and inputs[0] is not None
    shape = given(inputs).shape if like_first else view.shape(tensor)
    sizes = [0 if array is None else array.size for array in inputs]
    if shape is None or None in shape or math.prod(max(n, 1) for n in sizes) > _MOST_PRODUCTS:
        return None
    made = math.prod(size or 0 for size in shape)
    if max([made, *sizes]) > _MOST_ELEMENTS:
        return None
    view.budget.take(made * _WIDEST)
    return computed(view.model.proto, node, tensor, inputs)


def values_of(view: GraphView, tensor: str) -> Array | None:
    """The values of a constant; None if it is none, or takes too much to compute."""
    try:
        constant = read_constant(view, tensor)
    except PReLUToolsError:
        return None
    return None if constant is None else constant.values


def repeated(view: GraphView, value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A constant of one value.

    Raises:
        BudgetError: it is too large for the file.
    """
    view.budget.take(math.prod(shape) * dtype.itemsize)
    return np.full(shape, value, dtype)


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
