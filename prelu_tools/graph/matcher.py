"""A small pattern matcher over a graph: expressions of operators around one input, x.

A pattern is matched from the output of a form back to its input. Identity and Transpose nodes on
the way are walked through; what they do to the axes is carried along as a permutation (`order`:
root = transpose(here, order)), so that a form with Transposes inside is the same form, with its
constants moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import onnx

from prelu_tools.core.layout import Permutation, compose
from prelu_tools.graph.constants import (
    LONGEST,
    Constant,
    attributes,
    is_constant,
    permutation,
    read_constant,
    refuse_chain,
)
from prelu_tools.graph.view import GraphView


class Place(NamedTuple):
    """A tensor, and how the axes of the pattern's root lie on it."""

    tensor: str
    order: Permutation | None = None
    """root = transpose(tensor, order); None for the identity."""


class Factor(NamedTuple):
    """A constant that multiplies (or divides) what the pattern scales."""

    place: Place
    inverted: bool = False
    """Whether it divides."""
    per_channel: bool = False
    """Whether it is the weight [C, 1, 1, ...] of a depthwise convolution."""
    given: Constant | None = None
    """The constant itself where no tensor holds it."""


class Product(NamedTuple):
    """The constants that stand for one slot of a pattern."""

    factors: tuple[Factor, ...] = ()
    sign: int = 1


class Binding(NamedTuple):
    """What a pattern has been matched to so far."""

    x: Place | None = None
    """The input, behind all Identity and Transpose nodes."""
    seen: tuple[Place, ...] = ()
    """The places where x was met, before walking through Transposes."""
    slots: Mapping[str, Product] = MappingProxyType({})
    """The constants, by the names that the pattern gives them."""
    nodes: tuple[onnx.NodeProto, ...] = ()
    """The nodes of the form, output first."""
    faults: tuple[str, ...] | None = None
    """None where everything has to fit; else what does not (see `graph/refusals.py`)."""

    def with_fault(self, fault: str) -> Binding:
        """This binding with one more thing that does not fit."""
        return self._replace(faults=(*(self.faults or ()), fault))

    def with_node(self, node: onnx.NodeProto) -> Binding:
        """This binding with one more node."""
        return Binding(self.x, self.seen, self.slots, (*self.nodes, node), self.faults)

    def with_product(self, slot: str, product: Product) -> Binding:
        """This binding with one slot set."""
        return self._replace(slots={**self.slots, slot: product})


class Pattern(Protocol):
    """Something that a tensor may be an instance of."""

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Every way in which the tensor matches, given what is bound already."""
        ...


def walk(view: GraphView, place: Place, binding: Binding) -> tuple[Place, Binding]:
    """Behind the Identity and Transpose nodes that make this tensor.

    Raises:
        PReLUToolsError: they are too many.
    """
    while (node := view.maker(place.tensor)) is not None:
        if len(binding.nodes) > LONGEST:
            refuse_chain(place.tensor)
        if node.op_type == "Transpose":
            if place.order is None and "perm" not in attributes(node):
                break
            rank = len(place.order) if place.order else len(attributes(node)["perm"].ints)
            moved = permutation(node, rank)
            if place.order is not None and len(place.order) != len(moved):
                break
            order = moved if place.order is None else compose(place.order, moved)
            if order == tuple(range(len(order))):
                place = Place(node.input[0])
            else:
                place = Place(node.input[0], order)
        elif node.op_type == "Identity":
            place = Place(node.input[0], place.order)
        else:
            break
        binding = binding.with_node(node)
    return place, binding


def behind_transposes(view: GraphView, tensor: str) -> Place:
    """The tensor that this one is but for its axis order, and that order."""
    return walk(view, Place(tensor), Binding())[0]


class Input:
    """The input of the activation, x: the same tensor wherever it stands."""

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Bind x, or compare with what it is bound to."""
        base, _ = walk(view, place, Binding())
        if is_constant(view, base.tensor):
            return
        if binding.x not in (None, base):
            if binding.faults is not None and binding.x is not None:
                other = f"it reads {binding.x.tensor!r} in one place and {base.tensor!r} in another"
                yield binding.with_fault(other)
            return
        seen = (*binding.seen, place)
        yield Binding(base, seen, binding.slots, binding.nodes, binding.faults)


class Filled:
    """A constant all of whose elements are this value, by itself or widened to the shape of x."""

    def __init__(self, value: float) -> None:
        self.value = value

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """The constant has to hold nothing but the value, in whatever type."""
        tensor = place.tensor
        while (node := view.maker(tensor)) is not None and node.op_type == "CastLike":
            tensor, binding = node.input[0], binding.with_node(node)
        if node is not None and node.op_type == "Expand":
            yield from self._widened(view, node, place, binding)
            return
        if not is_constant(view, tensor):
            return
        constant = read_constant(view, tensor)
        if constant is None or not constant.values.size:
            return
        if (constant.values == self.value).all():
            yield binding
        elif binding.faults is not None and constant.values.size == 1:
            found = f"it has the constant {constant.values.item():g}, not {self.value:g}"
            yield binding.with_fault(found)

    def _widened(
        self, view: GraphView, node: onnx.NodeProto, place: Place, binding: Binding
    ) -> Iterator[Binding]:
        """What zeros_like(x) becomes where a dimension is dynamic: Expand(0, Shape(x))."""
        shape = view.maker(node.input[1])
        if shape is None or shape.op_type != "Shape":
            return
        limits = attributes(shape)
        if "end" in limits or ("start" in limits and limits["start"].i != 0):
            return
        binding = binding.with_node(node).with_node(shape)
        like = place._replace(tensor=shape.input[0])
        for bound in self.match(view, place._replace(tensor=node.input[0]), binding):
            yield from Input().match(view, like, bound)


class Parameter:
    """A constant by itself, for a slot of the form."""

    def __init__(self, slot: str = "a") -> None:
        self.slot = slot

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Any constant will do."""
        if is_constant(view, place.tensor):
            yield binding.with_product(self.slot, Product((Factor(place),)))
        elif binding.faults is not None:
            yield binding.with_fault(f"its slope {place.tensor!r} is computed from the input")


class Op:
    """One node of one of these types (names separated by a bar), with these inputs."""

    def __init__(self, types: str, inputs: tuple[Pattern, ...], commutative: bool = False) -> None:
        self.types = frozenset(types.split("|"))
        self.inputs = inputs
        self.commutative = commutative

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """The node's inputs have to match, in either order where that is all the same."""
        place, binding = walk(view, place, binding)
        node = view.maker(place.tensor)
        if node is None or node.op_type not in self.types:
            return
        names = [name for name in node.input if name]
        if len(names) != len(self.inputs):
            return
        binding = binding.with_node(node)
        orders = [names, names[::-1]] if self.commutative and len(names) == 2 else [names]
        for order in orders:
            places = [Place(name, place.order) for name in order]
            yield from _match_all(view, self.inputs, places, binding)


def _match_all(
    view: GraphView, patterns: tuple[Pattern, ...], places: list[Place], binding: Binding
) -> Iterator[Binding]:
    if not patterns:
        yield binding
        return
    for first in patterns[0].match(view, places[0], binding):
        yield from _match_all(view, patterns[1:], places[1:], first)


class AnyOf:
    """The first of several patterns that holds."""

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        self.patterns = patterns

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Try each."""
        for pattern in self.patterns:
            yield from pattern.match(view, place, binding)


class Scaled:
    """Another pattern times constants, however the product is written: at least one."""

    def __init__(self, inner: Pattern, slot: str = "a") -> None:
        self.inner = inner
        self.slot = slot

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Take constants off the product one by one; what is left has to be the inner pattern."""
        place, binding = walk(view, place, binding)
        node = view.maker(place.tensor)
        if node is None or node.op_type not in ("Mul", "Div", "Neg", "Conv"):
            return
        if len(binding.nodes) > LONGEST:
            refuse_chain(place.tensor)
        binding = binding.with_node(node)
        for factor, rest in _splits(view, node, place):
            product = binding.slots.get(self.slot, Product())
            if factor is None:
                product = product._replace(sign=-product.sign)
            else:
                product = product._replace(factors=(*product.factors, factor))
            bound = binding.with_product(self.slot, product)
            inner = place._replace(tensor=rest)
            if product.factors:
                yield from self.inner.match(view, inner, bound)
            yield from self.match(view, inner, bound)
        if binding.faults is not None and node.op_type == "Mul":
            for slope, rest in (node.input, reversed(node.input)):
                fault = f"its slope {slope!r} is computed from the input"
                inner = place._replace(tensor=rest)
                yield from self.inner.match(view, inner, binding.with_fault(fault))


def _splits(
    view: GraphView, node: onnx.NodeProto, place: Place
) -> Iterator[tuple[Factor | None, str]]:
    """The ways to take one constant off a product: the constant (None for -1), and the rest."""
    if node.op_type == "Neg":
        yield None, node.input[0]
    elif node.op_type == "Conv":
        weight = depthwise_weight(view, node)
        if weight is not None:
            yield Factor(place._replace(tensor=weight), per_channel=True), node.input[0]
    else:
        left, right = node.input
        if is_constant(view, right):
            factor = Factor(place._replace(tensor=right), inverted=node.op_type == "Div")
            yield factor, left
        if node.op_type == "Mul" and is_constant(view, left):
            yield Factor(place._replace(tensor=left)), right


def depthwise_weight(view: GraphView, node: onnx.NodeProto) -> str | None:
    """The weight of a convolution that does nothing but multiply each channel; else None."""
    attrs = attributes(node)
    given = {name: list(attrs[name].ints) for name in ("pads", "strides") if name in attrs}
    plain = not any(given.get("pads", [])) and all(s == 1 for s in given.get("strides", []))
    if len([name for name in node.input if name]) != 2 or not plain or "group" not in attrs:
        return None
    shape = view.shape(node.input[1]) if is_constant(view, node.input[1]) else None
    if shape is None or shape[0] != attrs["group"].i or any(size != 1 for size in shape[1:]):
        return None
    return str(node.input[1])
