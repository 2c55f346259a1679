"""Patterns of one operator each, for what the general ones of `graph/matcher.py` do not say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from prelu_tools.graph.constants import Constant, attributes, read_constant, repeated
from prelu_tools.graph.matcher import (
    Binding,
    Factor,
    Pattern,
    Place,
    Product,
    depthwise_weight,
    walk,
)
from prelu_tools.graph.metadata import stated_slopes
from prelu_tools.graph.view import GraphView


class PerChannel:
    """A depthwise 1x1 convolution of another pattern by the same constant for every channel."""

    def __init__(self, value: float, inner: Pattern) -> None:
        self.value = value
        self.inner = inner

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """The weight has to hold nothing but the value."""
        place, binding = walk(view, place, binding)
        node = view.maker(place.tensor)
        if node is None or node.op_type != "Conv":
            return
        weight = depthwise_weight(view, node)
        constant = read_constant(view, weight) if weight else None
        if constant is not None and (constant.values == self.value).all():
            binding = binding.with_node(node)
            yield from self.inner.match(view, place._replace(tensor=node.input[0]), binding)


class Clamp:
    """A Clip node that cuts at zero on one side only, as attribute (opset 6) or as input."""

    def __init__(self, keeps: str, inner: Pattern) -> None:
        self.keeps = keeps
        self.inner = inner

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """Exactly one bound, and that is zero."""
        place, binding = walk(view, place, binding)
        node = view.maker(place.tensor)
        if node is None or node.op_type != "Clip":
            return
        bounds = self._bounds(view, node)
        expected = (0.0, None) if self.keeps == "positive" else (None, 0.0)
        if bounds == expected:
            binding = binding.with_node(node)
            yield from self.inner.match(view, place._replace(tensor=node.input[0]), binding)

    @staticmethod
    def _bounds(view: GraphView, node: onnx.NodeProto) -> tuple[float | None, float | None]:
        attrs = attributes(node)
        found: list[float | None] = [attrs[n].f if n in attrs else None for n in ("min", "max")]
        for side, name in enumerate(node.input[1:3]):
            constant = read_constant(view, name) if name else None
            if name:
                plain = constant is not None and constant.values.dtype.kind in "fiuV"
                scalar = plain and constant is not None and constant.values.size == 1
                found[side] = constant.values.item() if constant and scalar else float("nan")
        limit = float(np.finfo(np.float32).max)  # "no bound" as exporters of opset 6 write it
        low, high = found
        low = None if low is not None and low <= -limit else low
        return low, None if high is not None and high >= limit else high


class Stated:
    """A node whose slopes are all equal, and which says how many they are (`stated_slopes`)."""

    def __init__(self, kind: str, slope: float | None) -> None:
        """Take an operator, and the slope that it stands for; None for its attribute alpha."""
        self.kind = kind
        self.slope = slope

    def match(self, view: GraphView, place: Place, binding: Binding) -> Iterator[Binding]:
        """The node has to be of the kind, and to say so."""
        node = view.maker(place.tensor)
        stated = stated_slopes(node) if node is not None and node.op_type == self.kind else None
        if node is None or stated is None:
            return
        name, shape = stated
        alpha = attributes(node).get("alpha")
        value = self.slope if self.slope is not None else (alpha.f if alpha else 0.01)
        kind = view.element_type(node.input[0]) or onnx.TensorProto.FLOAT
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        values = repeated(view, value, shape, dtype)
        factor = Factor(place, given=Constant(name, values, shape))
        bound = binding.with_node(node).with_product("a", Product((factor,)))
        x = place._replace(tensor=node.input[0])
        yield bound._replace(x=x, seen=(*bound.seen, x))
