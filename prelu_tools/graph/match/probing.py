"""Probe a region: what does it return for x = 1, x = -1, and numbers of every size?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation, inverse
from prelu_tools.graph.match.arithmetic import limits_of
from prelu_tools.graph.match.forms import name_of
from prelu_tools.graph.match.products import factor_of, multipliers
from prelu_tools.graph.match.regions import JOINED
from prelu_tools.graph.match.running import Running, probes

_AT_ONCE: Final = 1 << 20  # elements of a tensor that is computed at once
_MANY: Final = 1 << 14  # positions; with more, fewer numbers are tried at each
_MOST_GROWTH: Final = 4096.0
_STAND_INS: Final = (0.375, 2.5, -1.5)  # for slopes that are not numbers
_MODERATE: Final = (0.004, 0.3, 2.0, 9.0, 300.0)
_THRESHOLDS: Final = ("Max", "Min", "Clip", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
                      "Equal", "Shape", "Unsqueeze", "Squeeze", "Cast", "CastLike", "Pow",
                      "Expand", "ConstantOfShape")  # fmt: skip
_FAR: Final = 1e-2  # what no rounding makes of 1
_ADDING: Final = ("Add", "Sub", "Sum", "Mean", "Where")
_ROUNDING: Final = ("Add", "Sub", "Sum", "Mean", "Pow", "Sqrt")
"""Without any of these, positive values are unchanged."""


@dataclass(frozen=True)
class Answer:
    """The PReLU that a region computes from its input."""

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
    """An input that shows that a region is not a PReLU, though it resembles one."""

    x: float
    y: float
    """The region's output for it."""
    wanted: float
    """PReLU's output for it."""

    def __str__(self) -> str:
        """One sentence."""
        return f"for x = {self.x:g} it gives {self.y:g}, where PReLU gives {self.wanted:g}"


class Probe(Running):
    """One region from x to y, which structure says to compute a multiple of x on either side."""

    def ask(self) -> Answer | Miss | None:
        """The result of the probe: PReLU, nearly PReLU, or neither.

        Raises:
            PReLUToolsError: its constants expand stored data too much.
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
    def form(self) -> str:
        """The name of the form (`FORMS`)."""
        return name_of(self)

    def near(self) -> Miss | None:
        """The input that shows that it is not a PReLU, if it is one for most inputs."""
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
        ends = self.ends(dtype)
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
        """Numbers for slopes that are NaN or infinite, because 0 * slope would hide the rest."""
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
        more = probes(dtype) if n_positions < _MANY else probes(dtype)[:8]
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
            factor = factor_of(region.view, node)
            inputs = node.input if factor is None else [factor]
            for name in inputs:
                values = region.constant(name) if name and region.is_still(name) else None
                if values is None or name in seen:
                    continue
                plain = values.size == 1 and values.reshape(-1)[0] in (0, 1, -1)
                if node.op_type in _ADDING and (plain or not (live.degree == 0 or values.any())):
                    continue  # a zero of a sum, or the 0 and 1 of a mask
                seen.add(name)
                if factor is not None:
                    axes = len(live.layout) if live.layout else region.rank or values.ndim
                    values = multipliers(node, values, region.constant, axes)
                yield name, _axes(values.shape, live.layout, region.rank)

    def _parameters(self, one: Array, before: Array) -> list[tuple[str, set[int]]]:
        """The constants that the slopes depend on; those of 1 and -1 as a last resort."""
        found: list[tuple[str, set[int]]] = []
        plain: list[tuple[str, set[int]]] = []
        for name, axes in self._constants():
            values = self._region.constant(name)
            if values is None or values.dtype.kind not in "fV":
                continue
            number = np.where(np.isfinite(values), values, values.dtype.type(0))
            other = number - np.abs(number) / values.dtype.type(4) - values.dtype.type(0.109375)
            after = self.tensors(one, {name: other.astype(values.dtype)})[self._y]
            # A factor of both sides is not part of a slope: it belongs before the PReLU.
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


def _axes(shape: tuple[int, ...], layout: Permutation | None, rank: int | None) -> set[int]:
    """The axes of x along which a constant of this shape has more than one value."""
    n_axes = len(layout) if layout is not None else rank or 0
    places = [n_axes - len(shape) + place for place, size in enumerate(shape) if size != 1]
    labels = places if layout is None else [layout[place] for place in places]
    return {JOINED - label if layout and label <= JOINED else label for label in labels}
