"""What the operators between two tensors compute from each element of the first one, x.

Three things together prove that a region computes PReLU.

1. *Structure.* For each tensor, it is known with which power it grows with x, if it does:
   f(k x) = k^d f(x) for every k > 0. x itself is of degree 1, a constant of degree 0. Relu, Abs,
   Neg and products by constants keep the degree; Add, Max, Min, Where and comparisons need one
   degree on all sides (zero and infinity fit any); a comparison, a sign and what is made of those
   is of degree 0: it depends on the sign of x alone. So a y of degree 1 is c x for x > 0 and s x
   for x < 0, with numbers c and s for each position, and x = 1 and x = -1 say which. A threshold,
   a cap, a floor, an offset or a gate has no degree, and is not a PReLU.
2. *Position.* Transposes, and axes of size 1 that come and go, are followed: an element of y is
   made of one element of x and of no other.
3. *Rounding.* Structure speaks of real numbers. The region is run in x's own type, operator by
   operator, on both signs from the smallest subnormal to large numbers, with mantissas that round:
   c has to be 1, and y either x or one product by s, bit for bit; or that up to what the region's
   own roundings may add (`rounds`). What overflows or vanishes on the way is not a PReLU.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.arrays import Array
from prelu_tools.graph.match.arithmetic import (
    COMPARISONS,
    KNOWN,
    MOVED,
    PRODUCTS,
    SMOOTH,
    attributes,
    axes_of,
    limits_of,
    permutation,
)
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.match.products import factor_of, only_multiplies
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of

_DEEPEST: Final = 64  # operators between x and y
_MOST_AXES: Final = 32
_SUMS: Final = ("Add", "Sub", "Sum", "Mean")
_LIMITS: Final = ("Max", "Min", "Clip", *COMPARISONS)
FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
                  onnx.TensorProto.BFLOAT16)  # fmt: skip
_INSERTED: Final = -1  # an axis of size 1 that x has not
JOINED: Final = -2
"""In a layout, minus the axis of x along which tensors are joined."""


class Trace(NamedTuple):
    """A tensor as a function of x, by its structure."""

    degree: int | None = 1
    """f(k x) = k^degree f(x) for every k > 0; None if no degree has that."""
    layout: tuple[int, ...] | None = None
    """For each of its axes that of x; None for x's own order."""
    kinked: bool = False
    """Whether it may differ between the signs of x."""
    scaled: bool = False
    """Whether a constant takes part that may be a slope."""
    depth: int = 0
    """Operators on the longest way from x."""


class Region:
    """The tensors of one graph as functions of one of them, x."""

    def __init__(self, view: GraphView, x: str) -> None:
        """Look at nothing yet."""
        self.view = view
        self.x = x
        self._rank: int | None = None
        self._traces: dict[str, Trace | None] = {x: Trace()}
        self._still: dict[str, Array | None] = {}
        self.sides: dict[str, tuple[bool, bool]] = {}
        self.made: dict[str, Array] = {}
        """The tensors that `graph/match/probing.py` has computed for its values of x."""

    @property
    def rank(self) -> int | None:
        """How many axes x has; None if that is unknown, for which some files say none."""
        if self._rank is None:
            self._rank = len(self.view.shape(self.x) or ()) or None
        return self._rank

    @property
    def dtype(self) -> np.dtype[np.generic] | None:
        """The type in which x is computed; float32 where that is unknown, None for no float."""
        kind = self.view.element_type(self.x) or onnx.TensorProto.FLOAT
        return np.dtype(helper.tensor_dtype_to_np_dtype(kind)) if kind in FLOATS else None

    def trace(self, tensor: str) -> Trace | None:
        """A tensor's structure; None if it is not an element-wise function of x."""
        if tensor not in self._traces:
            self._traces[tensor] = None  # while it is visited: a cycle is not a path
            self._traces[tensor] = self._traced(tensor)
        return self._traces[tensor]

    def _traced(self, tensor: str) -> Trace | None:
        home, _ = self.view.home(tensor)
        node = self.view.maker(tensor) if home is self.view else None
        if node is None or node.op_type not in KNOWN:
            return None
        if node.op_type in PRODUCTS and factor_of(self.view, node) is None:
            return None
        operands: list[tuple[str, Trace | None]] = []
        for name in node.input:
            found = None if not name or self.is_still(name) else self.trace(name)
            if name and found is None and not self.is_still(name):
                return None
            operands.append((name, found))
        live = [found for _, found in operands if found is not None]
        layouts = {found.layout for found in live}
        if not live or len(layouts) > 1 or max(t.depth for t in live) >= _DEEPEST:
            return None
        before = Trace(
            None,
            live[0].layout,
            any(t.kinked for t in live),
            any(t.scaled for t in live),
            1 + max(t.depth for t in live),
        )
        degrees = [found.degree for found in live]
        if node.op_type in MOVED:
            if node.op_type == "Concat" and len(live) < len(operands):
                return None
            return self._moved(node, before._replace(degree=self._same(degrees, [])))
        return self._combined(node, operands, degrees, before)

    def _combined(
        self,
        node: onnx.NodeProto,
        operands: list[tuple[str, Trace | None]],
        degrees: list[int | None],
        before: Trace,
    ) -> Trace | None:
        """An operator that leaves every element in its place."""
        kind, first = node.op_type, degrees[0]
        still = [name for name, found in operands if name and found is None]
        if kind in ("Identity", "Neg", "Cast", "CastLike"):
            return self._cast(node, before._replace(degree=first))
        if kind in ("Relu", "LeakyRelu", "Abs"):
            return before._replace(degree=first, kinked=True)
        if kind == "ThresholdedRelu":
            fits = first == 0 or attribute_of(node, "alpha", 1.0) == 0
            return before._replace(degree=first if fits else None, kinked=True)
        if kind in SMOOTH:
            return before._replace(degree=0 if first == 0 else None, kinked=True)
        if kind in ("Sign", "Not", "And", "Or", "Xor"):
            fits = kind == "Sign" or set(degrees) == {0}
            return before._replace(degree=0 if fits and first is not None else None, kinked=True)
        if kind in _SUMS or kind in _LIMITS:
            found = self._same(degrees, still, any_limit=kind in _LIMITS)
            scaled = before.scaled or (kind in _SUMS and found == 0 and bool(still))
            if kind in COMPARISONS:
                found = None if found is None else 0
            return before._replace(
                degree=found, kinked=before.kinked or kind in _LIMITS, scaled=scaled
            )
        if kind == "Where":
            return self._chosen(operands, before)
        return self._product(node, operands, degrees, before)

    def _cast(self, node: onnx.NodeProto, before: Trace) -> Trace:
        kind = attribute_of(node, "to") if node.op_type == "Cast" else onnx.TensorProto.FLOAT
        if kind == onnx.TensorProto.BOOL and before.degree is not None:
            return before._replace(degree=0, kinked=True)
        whole = kind not in FLOATS and before.degree != 0
        return before._replace(degree=None) if whole else before

    def _same(
        self, degrees: Iterable[int | None], still: list[str], any_limit: bool = False
    ) -> int | None:
        """The one degree of all sides; zeros, and as limits infinities, fit any."""
        found = set(degrees)
        if any(not self._fits_any(name, any_limit) for name in still):
            found.add(0)
        return found.pop() if len(found) == 1 else None

    def _fits_any(self, tensor: str, any_limit: bool) -> bool:
        values = self.constant(tensor)
        if values is None or not values.size or values.dtype.kind not in "fV":
            return values is not None and values.dtype.kind in "iu" and not values.any()
        if not any_limit:
            return bool((values == 0).all())
        return bool(((values == 0) | (np.abs(values) >= limits_of(values.dtype).large)).all())

    def _chosen(self, operands: list[tuple[str, Trace | None]], before: Trace) -> Trace:
        (_, condition), *branches = operands
        degrees = [found.degree for _, found in branches if found is not None]
        still = [name for name, found in branches if found is None]
        degree = self._same(degrees, still) if degrees else 0
        if condition is not None and condition.degree != 0:
            degree = None
        return before._replace(degree=degree, kinked=True, scaled=before.scaled or bool(still))

    def _product(
        self,
        node: onnx.NodeProto,
        operands: list[tuple[str, Trace | None]],
        degrees: list[int | None],
        before: Trace,
    ) -> Trace | None:
        kind, found = node.op_type, operands[0][1]
        numbers = [degree for degree in degrees if degree is not None]
        scaled = before.scaled or any(t is None for _, t in operands)
        if kind in PRODUCTS:
            factor = factor_of(self.view, node)
            fits = factor is not None and only_multiplies(node, factor, self.constant)
            return before._replace(degree=degrees[0], scaled=True) if fits else None
        if kind not in ("Mul", "Div", "PRelu", "Sqrt", "Reciprocal", "Pow"):
            return None
        degree: int | None = None
        if len(numbers) < len(degrees):
            return before._replace(scaled=scaled)
        if kind == "Mul":
            degree = sum(numbers)
        elif kind == "Div":
            degree = numbers[0] if found is not None else -numbers[0]
            degree -= numbers[1] if len(numbers) > 1 else 0
        elif kind == "PRelu":
            slope = operands[1][1]
            fits = slope is None or slope.degree == 0
            degree = (found.degree if found is not None else 0) if fits else None
        elif kind == "Reciprocal":
            degree = -numbers[0]
        elif kind == "Sqrt":
            degree = None if numbers[0] % 2 else numbers[0] // 2
        else:
            power = self.constant(operands[1][0]) if operands[1][1] is None else None
            whole = power is not None and power.size == 1 and float(power.item()).is_integer()
            if found is not None and whole and power is not None and abs(power.item()) < 9:
                degree = numbers[0] * int(power.item())
        kinked = before.kinked or kind in ("PRelu", "Pow", "Sqrt")
        return before._replace(degree=degree, kinked=kinked, scaled=scaled)

    def _moved(self, node: onnx.NodeProto, before: Trace) -> Trace | None:
        """An operator that moves axes, adds or takes those of size 1, or joins or splits one."""
        kind, attrs = node.op_type, attributes(node)
        if kind == "Transpose" and self.rank is None and "perm" in attrs:
            self._rank = len(attrs["perm"].ints)
        if self.rank is None or self.rank > _MOST_AXES:
            return None
        plain = tuple(range(self.rank))
        layout: list[int] | None = list(before.layout or plain)
        assert layout is not None
        if kind == "Transpose":
            order = permutation(node, len(layout))
            if sorted(order) != list(range(len(layout))):
                return None
            layout = [layout[axis] for axis in order]
        elif kind in ("Concat", "Split"):
            layout = self._joined(node, layout)
        else:
            layout = _resized(layout, self.axes(node), kind == "Unsqueeze")
        if layout is None:
            return None
        found = tuple(layout)
        return before._replace(layout=None if found == plain else found)

    def axes(self, node: onnx.NodeProto) -> tuple[int, ...] | None:
        """The axes that an Unsqueeze or Squeeze names."""
        return axes_of(attributes(node), [None, *(self.constant(i) for i in node.input[1:2])])

    def _joined(self, node: onnx.NodeProto, layout: list[int]) -> list[int] | None:
        """CReLU: x and -x joined along an axis, and split there again, each as long as x."""
        axis = attribute_of(node, "axis", 0)
        shape = self.view.shape(self.x)
        if not -len(layout) <= axis < len(layout) or shape is None:
            return None
        label = layout[axis]
        joins = node.op_type == "Concat"
        if (label < 0) if joins else (label > JOINED):
            return None
        layout[axis] = JOINED - label
        size = shape[label if joins else layout[axis]]
        for part in node.input if joins else node.output:
            found = self.view.shape(part)
            if size is None or found is None or found[axis] != size:
                return None
        return layout

    def is_still(self, tensor: str) -> bool:
        """Whether a tensor depends on no value of x: a constant, or one as large as x."""
        if self.view.is_constant(tensor):
            return True
        if tensor not in self._still:
            self._still[tensor] = None
            self._still[tensor] = self._filled(tensor)
        return self._still[tensor] is not None

    def constant(self, tensor: str) -> Array | None:
        """The values of a tensor that `is_still`; None if they cannot be computed."""
        if tensor not in self._still:
            found = read_constant(self.view, tensor)
            self._still[tensor] = None if found is None else found.values
        return self._still[tensor]

    def _filled(self, tensor: str) -> Array | None:
        """The constant in zeros_like(x), or in a constant expanded to x; None for anything else."""
        node = self.view.maker(tensor)
        if node is None or node.op_type not in ("Expand", "ConstantOfShape", "CastLike"):
            return None
        shape = self.view.maker(node.input[-1])
        if node.op_type == "CastLike":
            if not self.is_still(node.input[0]) or self.trace(node.input[1]) is None:
                return None
            values, kind = self.constant(node.input[0]), self.view.element_type(node.input[1])
            kind = kind or self.view.element_type(self.x) or onnx.TensorProto.FLOAT
            dtype = helper.tensor_dtype_to_np_dtype(kind)
            return None if values is None else values.astype(dtype)
        like = shape if shape is not None and shape.op_type == "Shape" else None
        if like is None or "end" in attributes(like) or self.trace(like.input[0]) is None:
            return None
        if node.op_type == "ConstantOfShape":
            stated = attribute_of(node, "value")
            number = np.float32(0) if stated is None else onnx.numpy_helper.to_array(stated)
            return np.asarray(number).reshape(())
        values = self.constant(node.input[0]) if self.is_still(node.input[0]) else None
        return values.reshape(()) if values is not None and values.size == 1 else values


def _resized(layout: list[int], axes: tuple[int, ...] | None, grows: bool) -> list[int] | None:
    """A layout with axes of size 1 put in, or such axes taken out again."""
    if not axes:
        return None
    rank = len(layout) + (len(axes) if grows else 0)
    places = sorted(axis % rank for axis in axes if -rank <= axis < rank)
    if len(set(places)) != len(axes):
        return None
    if not grows:
        kept = [label for place, label in enumerate(layout) if place not in places]
        return kept if all(layout[place] == _INSERTED for place in places) else None
    for place in places:
        layout.insert(place, _INSERTED)
    return layout
