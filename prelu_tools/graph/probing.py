"""A region is asked: what does it make of x = 1, of x = -1, and of numbers of every size?"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import Permutation, inverse
from prelu_tools.graph.arithmetic import (
    ELEMENTWISE,
    Attributes,
    Step,
    attributes,
    limits_of,
    permutation,
)
from prelu_tools.graph.regions import JOINED, Region

_FREE_RANK: Final = 8  # axes of an x whose rank is not known
_AT_ONCE: Final = 1 << 20  # elements of a tensor that is computed at once
_MANY: Final = 1 << 14  # positions, from which on fewer numbers are tried at each
_MOST_GROWTH: Final = 4096.0
_STAND_INS: Final = (0.375, 2.5, -1.5)  # for slopes that are no numbers
_MODERATE: Final = (0.004, 0.3, 2.0, 9.0, 300.0)
_THRESHOLDS: Final = ("Max", "Min", "Clip", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
                      "Equal", "Shape", "Unsqueeze", "Squeeze", "Cast", "CastLike", "Pow",
                      "Expand", "ConstantOfShape")  # fmt: skip
_FEW: Final = 1 << 8  # elements of a constant
_MOST_KEPT: Final = 1 << 13  # tensors of a region whose numbers are kept
_BYTES_A_STEP: Final = 1 << 12
_FAR: Final = 1e-2  # what no rounding makes of 1
_ADDING: Final = ("Add", "Sub", "Sum", "Mean", "Where")
_ROUNDING: Final = ("Add", "Sub", "Sum", "Mean", "Pow", "Sqrt")
"""Without any of these, what is positive is not touched."""
_NONE: Final[Attributes] = {}
_Planned = tuple[onnx.NodeProto, Step | None, Attributes, list[tuple[str, Array | None]]]


@dataclass(frozen=True)
class Answer:
    """What a region that computes PReLU makes of its input."""

    slopes: Array
    """Such that they broadcast to x."""
    parameters: tuple[str, ...]
    """The constants that the slopes depend on, from y back."""
    order: Permutation | None
    """y = transpose(PReLU(x), order); None for x's own order."""
    rounds: bool
    """Whether it is PReLU up to rounding only."""


@dataclass(frozen=True)
class Miss:
    """An input that shows that a region is no PReLU, though it resembles one."""

    x: float
    y: float
    """What the region makes of it."""
    wanted: float
    """What PReLU would."""

    def __str__(self) -> str:
        """One sentence."""
        return f"for x = {self.x:g} it gives {self.y:g}, where PReLU gives {self.wanted:g}"


class Probe:
    """One region from x to y, which structure says to compute a multiple of x on either side."""

    def __init__(self, region: Region, y: str) -> None:
        """Compute nothing yet."""
        self._region = region
        self._y = y
        found = region.trace(y)
        assert found is not None
        self._layout = found.layout
        self._probed: Array | None = None
        self.keeps_positive = False
        """Whether, as far as it was asked, nothing of what is positive is cut off."""

    def ask(self) -> Answer | Miss | None:
        """What it answers: PReLU, nearly PReLU, or neither.

        Raises:
            PReLUToolsError: its constants make too much of what is stored.
        """
        dtype = self._region.dtype
        order = self._layout
        if dtype is None or (order is not None and sorted(order) != list(range(len(order)))):
            return None
        try:
            with np.errstate(all="ignore"):
                return self._answer(dtype)
        except (ValueError, TypeError, KeyError, IndexError):
            return None  # no runtime would run it either

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
        """Whether a tensor is anything but 0 where x is 1, and where x is -1."""
        known = self._region.sides
        if tensor not in known:
            values = self.signs.get(tensor)
            found = (False, False)
            if values is not None and values.dtype.kind in "fV":
                found = bool((values[0] != 0).any()), bool((values[1] != 0).any())
            known[tensor] = found
        return known[tensor]

    def _ends(self, dtype: np.dtype[Any]) -> Array:
        """What comes out for x = 1 and x = -1.

        Where constants are small, all numbers are computed at once, and kept for what follows.
        """
        made, numbers = self._region.made, np.concatenate([[1, -1], _probes(dtype)]).astype(dtype)
        if not made:
            made[self._region.x] = self._as_x(numbers)
        plan = self._planned(_nodes(self._region, self._y, made))
        sizes = [c.size for *_, inputs in plan for _, c in inputs if c is not None]
        if max(sizes, default=1) > _FEW or len(made) > _MOST_KEPT:
            return self.signs[self._y]
        self._run_all(plan, made, None)
        self._probed = made[self._y][2:]
        return made[self._y][:2]

    def near(self) -> Miss | None:
        """The input that shows that it is no PReLU, where it is one for most inputs."""
        sizes = np.array(_MODERATE)
        xs = np.concatenate([sizes, -sizes])
        try:
            with np.errstate(all="ignore"):
                y = self.tensors(xs.astype(self._region.dtype))[self._y]
        except (ValueError, TypeError, KeyError, IndexError):
            return None
        if y.dtype != self._region.dtype:
            return None
        n, ways = len(sizes), y.reshape(len(xs), -1).astype(np.float64)
        answers = ways[n:] / xs[n:, None]
        agree = np.abs(answers[:, None] - answers) <= 1e-3 * np.abs(answers)
        best = np.argmax(agree.sum(axis=1), axis=0)
        slopes = np.take_along_axis(answers, best[None], axis=0)[0]
        wanted = np.where(xs[:, None] > 0, 1, slopes) * xs[:, None]
        fits = np.abs(ways - wanted) <= 1e-3 * np.abs(wanted)
        kept, scaled = fits[:n].sum(axis=0), fits[n:].sum(axis=0)
        alike = (slopes != 0) & (slopes != 1) & (2 * kept > n)
        alike &= (scaled > 1) | ((kept == n) & (2 * (ways[n:] != 0).sum(axis=0) > n))
        alike &= ~fits.all(axis=0)
        if not alike.any():
            return None
        place = int(np.argmax(alike))
        off = int(np.argmin(fits[:, place]))
        return Miss(float(xs[off]), float(ways[off, place]), float(wanted[off, place]))

    def _answer(self, dtype: np.dtype[Any]) -> Answer | Miss | None:
        one = np.array([1, -1], dtype)
        ends = self._ends(dtype)
        kept, scaled = ends[0], -ends[1]
        if kept.dtype != dtype:
            return None
        self.keeps_positive = bool(kept.all())
        odd = not (np.isfinite(kept).all() and np.isfinite(scaled).all())
        if not odd and (np.abs(kept.astype(np.float64) - 1) > _FAR).any():
            alike = (kept != 0) & (scaled != 0) & (kept != scaled)
            off = np.unravel_index(int(np.argmax(kept != 1)), kept.shape)
            return Miss(1.0, float(kept[off]), 1.0) if alike.any() else None
        parameters = self._parameters(one, ends)
        constants = [self._region.constant(name) for name, _ in parameters]
        if not parameters or (
            # relu(x), made of numbers of the code: x - 0.5 * (x - |x|)
            not scaled.any() and all(c is not None and c.size == 1 and c.all() for c in constants)
        ):
            return None
        rounds = False
        for replaced in self._stand_ins() if odd else ({},):
            found = self._check(dtype, replaced)
            if isinstance(found, Miss):
                return found
            rounds |= found
        names = tuple(name for name, _ in parameters)
        slopes = self._laid(self._signed(one, scaled, names), parameters)
        return Answer(slopes, names, self._layout, rounds)

    def _signed(self, one: Array, slopes: Array, parameters: tuple[str, ...]) -> Array:
        """Slopes of 0 with the sign that their constants have: a sum does not show it."""
        if slopes.all():
            return slopes
        marked = {}
        for name in parameters:
            values = self._region.constant(name)
            if values is not None:
                ones = np.where(np.signbit(values), -1, 1).astype(values.dtype)
                marked[name] = np.where(values == 0, ones, values)
        negative = ~np.signbit(self.tensors(one, marked)[self._y][1])
        zeros = np.where(negative, -0.0, 0.0).astype(slopes.dtype)
        return np.where(slopes == 0, zeros, slopes)

    def _stand_ins(self) -> Iterator[dict[str, Array]]:
        """Numbers for slopes that are NaN or infinite, of which 0 * slope would hide the rest."""
        arrays = {name: self._region.constant(name) for name, _ in self._constants()}
        for number in _STAND_INS:
            yield {
                name: np.where(np.isfinite(values), values, values.dtype.type(number))
                for name, values in arrays.items()
                if values is not None and values.dtype.kind in "fV"
            }

    def _check(self, dtype: np.dtype[Any], replaced: Mapping[str, Array]) -> Miss | bool:
        """Whether it rounds otherwise than PReLU; or the input that shows that it is none."""
        one = np.array([1, -1], dtype)
        made = self.tensors(one, replaced) if replaced else self.signs
        slopes = -made[self._y][1]
        unit, small, large = limits_of(dtype)
        n_positions, rounds = max(made[self._y][0].size, 1), False
        exact = not any(node.op_type in _ROUNDING for node in self.nodes)
        more = _probes(dtype) if n_positions < _MANY else _probes(dtype)[:8]
        step = max(1, _AT_ONCE // n_positions)
        known = None if replaced else self._probed
        for part in (one, *(more[i : i + step] for i in range(0, len(more), step))):
            if part is one or known is None or len(part) < len(known):
                y = (made if part is one else self.tensors(part, replaced))[self._y]
            else:
                y = known
            x = part.reshape(-1, *[1] * (y.ndim - 1))
            wanted = np.where(x > 0, x, x * slopes)
            wrong = ~((y == wanted) | (np.isnan(y) & np.isnan(wanted)))
            if not wrong.any():
                continue
            rounds = True
            growth = np.maximum(self._growth(made), 1)
            size, steps = np.abs(x.astype(np.float64)), len(self.nodes) + 2
            room = steps * (unit * growth * size + small * growth)
            off = np.abs(y.astype(np.float64) - wanted.astype(np.float64))
            fine = (off <= room) | (growth * size > large / 4)
            wrong &= ~fine | (growth > _MOST_GROWTH) | ((x > 0) & exact)
            if wrong.any():
                place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
                given = np.broadcast_to(x, y.shape)[place]
                right = np.broadcast_to(wanted, y.shape)[place]
                return Miss(float(given), float(y[place]), float(right))
        return rounds

    def _growth(self, made: Mapping[str, Array]) -> Any:
        """How large the numbers on the way are, where x is 1 or -1; for each position of y."""
        total: Any = 0.0
        for name, values in made.items():
            trace = self._region.trace(name)
            largest = np.abs(values.astype(np.float64)).max(axis=0, initial=0.0)
            along = trace is not None and trace.layout == self._layout
            total = np.maximum(total, largest if along else largest.max(initial=0.0))
        return total

    def _constants(self) -> Iterator[tuple[str, set[int]]]:
        """The constants that may be slopes, and the axes of x along which each has more than one.

        In the order of the nodes, from y back.
        """
        region = self._region
        seen = set()
        for node in self.nodes:
            if node.op_type in _THRESHOLDS:
                continue
            traces = [None if region.is_still(i) else region.trace(i) for i in node.input if i]
            live = next(t for t in traces if t is not None)
            inputs = node.input[:2] if node.op_type == "Conv" else node.input
            for name in inputs:
                values = region.constant(name) if name and region.is_still(name) else None
                if values is None or name in seen:
                    continue
                plain = values.size == 1 and values.reshape(-1)[0] in (0, 1, -1)
                if node.op_type in _ADDING and (plain or not (live.degree == 0 or values.any())):
                    continue  # a zero of a sum, or the 0 and 1 of a mask
                seen.add(name)
                if node.op_type == "Conv":
                    values = values.reshape(-1, *[1] * (values.ndim - 2))
                yield name, _axes(values.shape, live.layout, region.rank)

    def _parameters(self, one: Array, before: Array) -> list[tuple[str, set[int]]]:
        """The constants that the slopes depend on; those of nothing but 1 and -1 if no others."""
        found: list[tuple[str, set[int]]] = []
        plain: list[tuple[str, set[int]]] = []
        for name, axes in self._constants():
            values = self._region.constant(name)
            if values is None or values.dtype.kind not in "fV":
                continue
            number = np.where(np.isfinite(values), values, values.dtype.type(0))
            other = number - np.abs(number) / values.dtype.type(4) - values.dtype.type(0.109375)
            after = self.tensors(one, {name: other.astype(values.dtype)})[self._y]
            # A factor of both sides alike is none of a slope's: it stands before the PReLU.
            left = after[1].astype(np.float64) * before[0]
            right = before[1].astype(np.float64) * after[0]
            same = np.abs(left - right) <= _FAR * (np.abs(left) + np.abs(right))
            if not (same | (np.isnan(after[1]) & np.isnan(before[1]))).all():
                (plain if (np.abs(values) == 1).all() else found).append((name, axes))
        return found or plain

    def _laid(self, scaled: Array, parameters: list[tuple[str, set[int]]]) -> Array:
        """The slopes in x's order, with size 1 along the axes that no parameter has."""
        if self._layout is not None:
            scaled = scaled.transpose(inverse(self._layout))
        varying = {axis - (self._region.rank or 0) for _, axes in parameters for axis in axes}
        for axis in range(-scaled.ndim, 0):
            first = np.take(scaled, [0], axis)
            if axis not in varying and scaled.shape[axis] != 1 and (first == scaled).all():
                scaled = first
        if self._layout is None:
            constants = [self._region.constant(name) for name, _ in parameters]
            axes = max((c.ndim for c in constants if c is not None), default=0)
            while scaled.ndim > axes and scaled.shape[0] == 1:
                scaled = scaled[0]
        return np.ascontiguousarray(scaled).reshape(scaled.shape)

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
        """Compute what nodes make, in place."""
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
                outputs = (
                    [step(attrs, arrays)] if step is not None else self._run(node, attrs, arrays)
                )
            made.update(zip(node.output, outputs, strict=False))
            n_bytes += sum(values.nbytes for values in outputs)
        self._region.view.budget.step(len(plan) + n_bytes // _BYTES_A_STEP)

    @cached_property
    def _plan(self) -> list[_Planned]:
        return self._planned(self.nodes)

    def _planned(self, nodes: Iterable[onnx.NodeProto]) -> list[_Planned]:
        """The nodes from x on, with what is constant."""
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

    def _run(
        self, node: onnx.NodeProto, attrs: Attributes, inputs: list[Array | None]
    ) -> list[Array]:
        """The outputs of a node that moves elements, or of a convolution by channels."""
        first = inputs[0]
        assert first is not None
        n_axes = first.ndim - 1
        if node.op_type == "Transpose":
            return [first.transpose(0, *(axis + 1 for axis in permutation(node, n_axes)))]
        if node.op_type == "Conv":
            assert inputs[1] is not None
            return [first * inputs[1].reshape(-1, *[1] * (inputs[1].ndim - 2))]
        if node.op_type in ("Unsqueeze", "Squeeze"):
            axes = self._region.axes(node) or ()
            rank = n_axes + (len(axes) if node.op_type == "Unsqueeze" else 0)
            places = tuple(axis % rank + 1 for axis in axes)
            resize = np.expand_dims if node.op_type == "Unsqueeze" else np.squeeze
            return [resize(first, places)]
        axis = (attrs["axis"].i if "axis" in attrs else 0) % n_axes
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


def _axes(shape: tuple[int, ...], layout: Permutation | None, rank: int | None) -> set[int]:
    """The axes of x along which a constant of this shape has more than one value."""
    n_axes = len(layout) if layout is not None else rank or 0
    places = [n_axes - len(shape) + place for place, size in enumerate(shape) if size != 1]
    labels = places if layout is None else [layout[place] for place in places]
    return {JOINED - label if layout and label <= JOINED else label for label in labels}


@lru_cache(maxsize=8)
def _probes(dtype: np.dtype[Any]) -> Array:
    """Numbers of both signs, from subnormal to large; the first few speak for all."""
    known = limits_of(dtype)
    least, most = math.frexp(known.small)[1] - 1, math.frexp(known.large)[1] - 4
    mantissas = (1.1, 4 / 3, 1.7320508)
    powers = [0, least + 1, most, *np.linspace(least + 3, most - 1, 6).astype(int)]
    sizes = [np.ldexp(m, int(power)) for m in mantissas for power in powers]
    numbers = [0.0, -0.0, *(sign * size for size in sizes for sign in (1, -1))]
    return np.array(numbers, np.float64).astype(dtype)
