"""Find every PReLU in a graph, whatever its form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import Permutation, inverse
from prelu_tools.core.slopes import Shape, align
from prelu_tools.graph.constants import read_constant, times
from prelu_tools.graph.forms import BY_ROOT, Form
from prelu_tools.graph.matcher import Binding, Place, Product
from prelu_tools.graph.metadata import NEGATED
from prelu_tools.graph.view import GraphView

_NO_NUMBERS = "OUSbc"  # kinds of numpy's types: objects, texts, truth values, complex numbers
_BROADCASTING = 7  # the first opset in which a slope is laid over the input by numpy's rule


class UnreadableConstantError(Exception):
    """A constant that cannot be computed: its nodes contradict their attributes."""


@dataclass(frozen=True)
class Match:
    """One PReLU in a graph: output = transpose(PReLU(x, slopes), order)."""

    form: str
    """The name of its form."""
    node: onnx.NodeProto
    """The node that makes the output."""
    nodes: tuple[onnx.NodeProto, ...]
    """All nodes of the form, Transposes inside it included."""
    x: str
    """The tensor that goes in."""
    order: Permutation | None
    """What a form of several Transposes does to the axes beside PReLU; None for nothing."""
    slopes: Array
    """In true sign, such that it broadcasts to x."""
    parameter: str
    """The initializer (or Constant) that the slopes begin at; by its plain name where it holds
    minus the slopes of that name."""
    stored_shape: tuple[int, ...]
    """The shape of that."""


def find_prelus(view: GraphView) -> Iterator[Match]:
    """Every PReLU of one graph, in the order of the nodes that make their outputs."""
    for node in view.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        for form in BY_ROOT.get(node.op_type, ()):
            match = _match(view, form, node)
            if match is not None:
                yield match
                break


def _match(view: GraphView, form: Form, node: onnx.NodeProto) -> Match | None:
    for binding in form.pattern.match(view, Place(node.output[0]), Binding()):
        try:
            found = _valued(view, form, node, binding)
        # Constants that do not fit together, or are no numbers: no runtime would run it either.
        except (UnreadableConstantError, ValueError, TypeError):
            continue
        if found is not None:
            return found
    return None


def _valued(view: GraphView, form: Form, node: onnx.NodeProto, binding: Binding) -> Match | None:
    """What was matched, with its constants; None where they make it no PReLU."""
    x = _input_place(binding)
    arrays = slot_values(view, binding)
    widens = form.name != "prelu" and _widens(view, node, x)
    if widens or any(a.dtype.kind in _NO_NUMBERS or not a.size for a in arrays.values()):
        return None
    if not form.holds(arrays):
        return None
    _, parameter, stored_shape = _product(view, binding.slots["a"], x.order)
    slopes = form.slope(arrays)
    if form.name == "prelu" and view.model.opset < _BROADCASTING:
        slopes = _by_channel(slopes, view.shape(x.tensor))
    return Match(
        form=form.name,
        node=node,
        nodes=binding.nodes,
        x=x.tensor,
        order=x.order,
        slopes=slopes,
        parameter=parameter.removesuffix(NEGATED),
        stored_shape=stored_shape,
    )


def _widens(view: GraphView, node: onnx.NodeProto, x: Place) -> bool:
    """Whether a constant of the form gives its output more than the shape of its input."""
    before, after = view.shape(x.tensor), view.shape(node.output[0])
    if before is None or after is None:
        return False
    if len(before) != len(after):
        return True
    moved = before if x.order is None else tuple(before[axis] for axis in x.order)
    return any(a != b for a, b in zip(moved, after, strict=True) if a is not None and b is not None)


def slot_values(view: GraphView, binding: Binding) -> dict[str, Array]:
    """The constants in the slots of a form, each such that it broadcasts to its input."""
    order = _input_place(binding).order
    return {slot: _product(view, p, order)[0] for slot, p in binding.slots.items()}


def _by_channel(slopes: Array, input_shape: Shape | None) -> Array:
    """A slope of an opset before 7, where [C] means the channels and not the last axis."""
    if slopes.ndim != 1 or slopes.size == 1 or input_shape is None or len(input_shape) < 3:
        return slopes
    return slopes.reshape(-1, *[1] * (len(input_shape) - 2))


def _input_place(binding: Binding) -> Place:
    """Where a PRelu would read x: at a tensor in the root's own axis order if there is one."""
    straight = [place for place in binding.seen if place.order is None]
    if straight:
        return straight[0]
    if binding.x is None:
        raise AssertionError("a form without its input")
    return binding.x


def _product(
    view: GraphView, product: Product, x_order: Permutation | None
) -> tuple[Array, str, tuple[int, ...]]:
    """The values of a product of constants in the axis order of x, and the parameter in it.

    Of several constants the parameter is the largest, and of equals the first: the others are
    factors such as 0.5.
    """
    values: Array | None = None
    parameter, stored = "", np.zeros(0)
    stored_shape: tuple[int, ...] = ()
    for factor in product.factors:
        constant = factor.given or read_constant(view, factor.place.tensor)
        if constant is None:
            raise UnreadableConstantError(factor.place.tensor)
        plain = constant.values
        if factor.per_channel:
            plain = plain.reshape(-1, *[1] * (plain.ndim - 2))
        term = _in_order_of(plain, factor.place.order, x_order)
        if factor.inverted:
            with np.errstate(all="ignore"):
                term = term.dtype.type(1) / term
        values = term if values is None else times(view, values, term)
        if not parameter or constant.values.size > stored.size:
            parameter, stored = constant.root, constant.values
            stored_shape = constant.stored_shape
    if values is None:
        raise AssertionError("a product without a constant")
    return (-values if product.sign < 0 else values), parameter, stored_shape


def _in_order_of(values: Array, order: Permutation | None, x_order: Permutation | None) -> Array:
    """Move a constant from its place to the axis order of the root, and on to that of x."""
    rank = len(order or x_order or ())
    if rank == 0 or values.size == 1:
        return values
    values = align(values, rank)
    if order is not None:
        values = values.transpose(order)
    return values if x_order is None else values.transpose(inverse(x_order))
