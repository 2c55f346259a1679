"""Run a region's operators on numbers for x, in x's own type."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.graph.match.arithmetic import (
    ELEMENTWISE,
    PRODUCTS,
    Attributes,
    Step,
    attributes,
    limits_of,
    permutation,
)
from prelu_tools.graph.match.products import factor_of, multipliers
from prelu_tools.graph.match.regions import Region
from prelu_tools.graph.walk import attribute_of

_FREE_RANK: Final = 8  # axes of an x whose rank is not known
_FEW: Final = 1 << 8  # elements of a constant
_MOST_KEPT: Final = 1 << 13  # tensors of a region whose numbers are kept
_BYTES_A_STEP: Final = 1 << 12
_NONE: Final[Attributes] = {}
_Planned = tuple[onnx.NodeProto, Step | None, Attributes, list[tuple[str, Array | None]]]


class Running:
    """The operators between x and y, run in numpy."""

    def __init__(self, region: Region, y: str) -> None:
        """Compute nothing yet."""
        self._region = region
        self._y = y
        found = region.trace(y)
        assert found is not None
        self._layout = found.layout
        self._probed: Array | None = None
        self.keeps_positive = False
        """Whether, as far as it was probed, no positive value is cut off."""

    @cached_property
    def nodes(self) -> tuple[onnx.NodeProto, ...]:
        """The nodes between x and y, the last one first."""
        return tuple(_nodes(self._region, self._y, {self._region.x}))

    @cached_property
    def signs(self) -> Mapping[str, Array]:
        """Every tensor of the region for x = 1 and x = -1, [2, axes of the tensor]."""
        if self._probed is None:
            return self.tensors(np.array([1, -1], self._region.dtype))
        names = [self._region.x, *(name for node in self.nodes for name in node.output)]
        made = self._region.made
        return {name: made[name][:2] for name in names if name in made}

    def sides(self, tensor: str) -> tuple[bool, bool]:
        """Whether a tensor is anything but 0 if x is 1, and where x is -1."""
        known = self._region.sides
        if tensor not in known:
            values = self.signs.get(tensor)
            found = (False, False)
            if values is not None and values.dtype.kind in "fV":
                found = bool((values[0] != 0).any()), bool((values[1] != 0).any())
            known[tensor] = found
        return known[tensor]

    def ends(self, dtype: np.dtype[Any]) -> Array:
        """The outputs for x = 1 and x = -1.

        If constants are small, all numbers are computed at once, and kept for later use.
        """
        made, numbers = self._region.made, np.concatenate([[1, -1], probes(dtype)]).astype(dtype)
        if not made:
            made[self._region.x] = self._as_x(numbers)
        fresh = len(made) == 1
        plan = self._plan if fresh else self._planned(_nodes(self._region, self._y, made))
        sizes = [c.size for *_, inputs in plan for _, c in inputs if c is not None]
        if max(sizes, default=1) > _FEW or len(made) > _MOST_KEPT:
            return self.signs[self._y]
        self._run_all(plan, made, None)
        self._probed = made[self._y][2:]
        return made[self._y][:2]

    def tensors(self, xs: Array, replaced: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Every tensor of the region for these numbers as x, [number, axes of the tensor].

        Args:
            xs: the numbers.
            replaced: other values for constants.
        """
        made = {self._region.x: self._as_x(xs)}
        self._run_all(self._plan, made, replaced)
        return made

    def _as_x(self, xs: Array) -> Array:
        return xs.reshape(-1, *[1] * (self._region.rank or _FREE_RANK))

    def _run_all(
        self, plan: list[_Planned], made: dict[str, Array], replaced: Mapping[str, Array] | None
    ) -> None:
        """Compute the outputs of nodes, in place."""
        n_bytes = 0
        for node, step, attrs, inputs in plan:
            arrays: list[Array | None] = []
            axes = max([made[name].ndim for name, still in inputs if still is None and name]) - 1
            for name, still in inputs:
                if still is None:
                    arrays.append(made[name] if name else None)
                    continue
                values = replaced.get(name, still) if replaced else still
                if values.ndim > axes:
                    raise ValueError("a constant of more axes than x")
                arrays.append(values)
            with np.errstate(all="ignore"):
                outputs = [step(attrs, arrays)] if step is not None else self._run(node, arrays)
            made.update(zip(node.output, outputs, strict=False))
            n_bytes += sum(values.nbytes for values in outputs)
        self._region.view.budget.step(len(plan) + n_bytes // _BYTES_A_STEP)

    @cached_property
    def _plan(self) -> list[_Planned]:
        return self._planned(self.nodes)

    def _planned(self, nodes: Iterable[onnx.NodeProto]) -> list[_Planned]:
        """The nodes from x on, with constants."""
        region, plan = self._region, []
        for node in reversed(tuple(nodes)):
            if node.op_type == "Shape" or region.is_still(node.output[0]):
                continue
            inputs: list[tuple[str, Array | None]] = []
            for name in node.input:
                values = region.constant(name) if name and region.is_still(name) else None
                if name and values is None and region.is_still(name):
                    raise ValueError("a constant that cannot be computed")
                inputs.append((name, values))
            attrs = attributes(node) if node.attribute else _NONE
            plan.append((node, ELEMENTWISE.get(node.op_type), attrs, inputs))
        return plan

    def _run(self, node: onnx.NodeProto, inputs: list[Array | None]) -> list[Array]:
        """The outputs of a node that moves elements, or of a convolution by channels."""
        first = inputs[0]
        assert first is not None
        n_axes = first.ndim - 1
        if node.op_type == "Transpose":
            return [first.transpose(0, *(axis + 1 for axis in permutation(node, n_axes)))]
        if node.op_type in PRODUCTS:
            place = list(node.input).index(factor_of(self._region.view, node) or "")
            held, live = inputs[place], inputs[0 if place else 1]
            assert held is not None
            assert live is not None
            return [live * multipliers(node, held, self._region.constant, live.ndim - 1)]
        if node.op_type in ("Unsqueeze", "Squeeze"):
            axes = self._region.axes(node) or ()
            rank = n_axes + (len(axes) if node.op_type == "Unsqueeze" else 0)
            places = tuple(axis % rank + 1 for axis in axes)
            resize = np.expand_dims if node.op_type == "Unsqueeze" else np.squeeze
            return [resize(first, places)]
        axis = attribute_of(node, "axis", 0) % n_axes
        if node.op_type == "Concat":
            size = self._size(node.input[0], axis)
            arrays = [
                np.repeat(a, size // a.shape[axis + 1], axis + 1) for a in inputs if a is not None
            ]
            shape = np.broadcast_shapes(*(a.shape for a in arrays))
            return [np.concatenate([np.broadcast_to(a, shape) for a in arrays], axis + 1)]
        return np.split(first, len(node.output), axis + 1)

    def _size(self, tensor: str, axis: int) -> int:
        shape = self._region.view.shape(tensor)
        return (shape[axis] if shape else None) or 1


def _nodes(region: Region, y: str, known: Container[str]) -> Iterator[onnx.NodeProto]:
    """The nodes between known tensors and y, each before those that it reads from."""
    places = region.view.places
    left, seen = {y}, set()
    while left:
        name = max(left, key=lambda tensor: places[tensor])
        left.discard(name)
        node = region.view.maker(name)
        assert node is not None
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        left.update(
            i for i in node.input if i and i not in known and not region.view.is_constant(i)
        )


@lru_cache(maxsize=8)
def probes(dtype: np.dtype[Any]) -> Array:
    """Numbers of both signs, from subnormal to large; the first few speak for all."""
    known = limits_of(dtype)
    least, most = math.frexp(known.small)[1] - 1, math.frexp(known.large)[1] - 4
    mantissas = (1.1, 4 / 3, 1.7320508)
    powers = [0, least + 1, most, *np.linspace(least + 3, most - 1, 6).astype(int)]
    sizes = [np.ldexp(m, int(power)) for m in mantissas for power in powers]
    numbers = [0.0, -0.0, *(sign * size for size in sizes for sign in (1, -1))]
    return np.array(numbers, np.float64).astype(dtype)
