"""Hold the PReLU layers of a candidate against the reference's: slopes, behaviour, and place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.commands.feeds import Layouts
from prelu_tools.commands.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import Permutation, candidates, inverse, moved_from
from prelu_tools.core.parity import Comparison, ulps, worst
from prelu_tools.core.slopediff import (
    SlopeDifference,
    compare_slopes,
    in_type_of,
    owner_of,
    pair_layers,
)
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.core.tolerance import Extent, Limit, limit_of
from prelu_tools.core.verification import LayerParity, Tolerance, Verdict

_OWN_ULPS = 4
"""Forms such as (1-a)*relu(x) + a*x round twice more than PRelu does."""


@dataclass
class _Watched:
    """What was seen of one layer while the candidate ran."""

    along: Comparison | None = None
    own_ulps: int | None = None
    lost: str | None = None


class LayerJudge:
    """Compares the layers of one candidate while it runs; an observer of its runner."""

    def __init__(
        self,
        reference: Reference,
        found: Sequence[PReLULayer],
        layouts: Layouts,
        tolerance: Tolerance,
    ) -> None:
        """Pair the layers.

        Args:
            reference: the reference, which was run.
            found: the candidate's layers.
            layouts: what the user said.
            tolerance: what the layers' outputs are held to.
        """
        self.run = 0
        self._reference = reference
        self._layouts = layouts
        self._tolerance = tolerance
        pairs = pair_layers(reference.layers, found)
        typed = tuple((in_type_of(mine, other), other) for mine, other in pairs.pairs)
        self._pairs = replace(pairs, pairs=typed)
        self._by_name = {other.name: (mine, other) for mine, other in self._pairs.pairs}
        self._calls = {  # a layer that was taken apart is told of by the name of the whole
            (layer.name, number): (node, 0) if node in self._by_name else (layer.name, number)
            for layer in found
            for number, node in enumerate(layer.nodes)
        }
        self._watched = {mine.name: _Watched() for mine, _ in self._pairs.pairs}
        self._taken: set[tuple[int, str, int]] = set()

    def observe(self, layer: str, call: int, x: Array, y: Array) -> None:
        """One call of a layer of the candidate, in the run `self.run`."""
        name, number = self._calls.get((layer, call), (layer, call))
        pair = self._by_name.get(name)
        if pair is None:
            return
        mine, other = pair
        watched = self._watched[mine.name]
        expected, orders = self._counterpart(mine, other, number, x, y)
        if expected is not None:
            self._follow(watched, mine.name, expected, y, orders)
        own = own_ulps(mine, orders, x, y)
        if own is not None:
            watched.own_ulps = max(watched.own_ulps or 0, own)

    def _counterpart(
        self, mine: PReLULayer, other: PReLULayer, number: int, x: Array, y: Array
    ) -> tuple[Array | None, Sequence[Permutation]]:
        """What the reference gives in the same call, and how its axes may lie.

        Calls that do not need each other stand in any order in a file. So another number is the
        same call where its output is nearer and no call before this one was it; a graph that uses
        the wrong one is told by what it gives in the end.
        """
        numbers = [number]
        if len(mine.nodes) == len(other.nodes):
            numbers += [n for n in range(len(mine.nodes)) if n != number]
        free = [n for n in numbers if (self.run, mine.name, n) not in self._taken] or [number]
        nearest = float("inf")
        for place in free:
            given = self._reference.activation(self.run, mine.name, place)
            axes = axis_orders(mine, other, x.shape, None if given is None else given.shape)
            away = float("inf") if given is None else _away(given, y, axes)
            if place == free[0] or away < nearest:
                taken, expected, orders, nearest = place, given, axes, away
            if nearest <= self._limit(mine.name, y).atol:
                break
        self._taken.add((self.run, mine.name, taken))
        return expected, orders

    def _limit(self, name: str, y: Array) -> Limit:
        extent = self._reference.layer_extents.get(name, Extent())
        return limit_of(self._tolerance, extent, y.dtype)

    def _follow(
        self,
        watched: _Watched,
        name: str,
        expected: Array,
        y: Array,
        orders: Sequence[Permutation],
    ) -> None:
        """The layer's output against the reference's."""
        fitting = _fitting(expected, y, orders)
        if not fitting:
            watched.lost = f"gives {list(y.shape)} where {list(expected.shape)} was expected"
            return
        if watched.along is None:
            watched.along = Comparison(self._limit(name, y))
        best = min(fitting, key=lambda array: _distance(expected, array))
        watched.along.add(expected, best)

    def parities(self, placement: Mapping[str, str]) -> tuple[LayerParity, ...]:
        """The outcome for every layer of either side, in the reference's order.

        Args:
            placement: the execution provider of each node of the candidate; empty if unknown.
        """
        found = {
            mine.name: self._parity(mine, other, placement.get(other.nodes[0]))
            for mine, other in self._pairs.pairs
        }
        for layer in self._pairs.missing:
            found[layer.name] = _failed(layer.name, f"{layer.name}: missing in the candidate")
        order = [layer.name for layer in self._reference.layers if layer.name in found]
        self._forgive(found, order)
        extra = [
            _failed(layer.name, f"{layer.name}: a PReLU that the reference does not have")
            for layer in self._pairs.unexpected
        ]
        return (*(found[name] for name in order), *extra)

    def _forgive(self, found: dict[str, LayerParity], order: Sequence[str]) -> None:
        """What comes after the first layer that diverges only hands on what it was given."""
        others = {mine.name: (mine, other) for mine, other in self._pairs.pairs}
        diverged = False
        for name in order:
            layer = found[name]
            if diverged and name in others and self._hands_on(*others[name], layer):
                found[name] = replace(layer, verdict="pass", difference=None)
            diverged = diverged or layer.verdict == "fail"

    def _hands_on(self, mine: PReLULayer, other: PReLULayer, layer: LayerParity) -> bool:
        """Whether nothing is wrong with a layer but what it was given."""
        watched = self._watched[mine.name]
        strayed = watched.along is not None and watched.along.verdict == "fail"
        same_use = len(mine.nodes) == len(other.nodes)
        return strayed and same_use and layer.slopes_equal and _right(watched)

    def _parity(self, mine: PReLULayer, other: PReLULayer, provider: str | None) -> LayerParity:
        watched = self._watched[mine.name]
        slopes = self._compare_slopes(mine, other)
        said = [slopes.description, _behaviour(watched)]
        words = "; ".join(part for part in said if part)
        along = watched.along
        verdicts: list[Verdict] = ["pass" if slopes.equal else "fail"]
        if slopes.ambiguous:
            verdicts = ["inconclusive"]
        if len(mine.nodes) != len(other.nodes):
            verdicts.append("fail")
            words = words or f"used {len(other.nodes)} times where {len(mine.nodes)} were expected"
        if _behaviour(watched):
            doubtful = along is not None and along.doubt is not None
            verdicts.append("inconclusive" if doubtful and _right(watched) else "fail")
        counts = self._reference.coverage.counts(mine.name)
        if not counts.size:
            verdicts.append("inconclusive")
            words = words or "it has no slopes, so nothing is proven"
        behaves = slopes.equal and _right(watched) and watched.own_ulps is not None
        return LayerParity(
            name=mine.name,
            slopes_equal=slopes.equal,
            difference=f"{mine.name}: {words}" if words else None,
            max_abs_diff=None if along is None else along.max_abs,
            max_ulp_diff=watched.own_ulps,
            coverage=float((counts > 0).mean()) if counts.size else None,
            verdict=worst(verdicts),
            deviation=None if along is None else along.deviation,
            limit=None if along is None else along.limit.atol,
            n_slopes=int(counts.size),
            n_by_value=int(counts.size) if slopes.equal else 0,
            n_by_behaviour=int((counts > 0).sum()) if behaves else 0,
            least_positions=int(counts.min()) if counts.size else None,
            provider=provider,
            parameter=mine.parameter,
            node=other.nodes[0],
        )

    def _compare_slopes(self, mine: PReLULayer, other: PReLULayer) -> SlopeDifference:
        difference = compare_slopes(mine, other, self._layouts.permutation(mine.slopes.ndim))
        if difference.equal or difference.ambiguous:
            return difference
        others = [layer for layer in self._reference.layers if layer.name != mine.name]
        owner = owner_of(other, others)
        return replace(difference, description=f"has {owner}'s slopes") if owner else difference


def _behaviour(watched: _Watched) -> str | None:
    """What its runs say against it, in words."""
    if watched.lost:
        return watched.lost
    if is_off(watched.own_ulps):
        return f"by itself it is {watched.own_ulps:,} ulp from the reference's slopes"
    along = watched.along
    if along is not None and along.verdict == "fail":
        return f"its output is {along.max_abs:.3g} from the reference's"
    return f"its output {along.doubt}" if along is not None and along.doubt else None


def axis_orders(
    mine: PReLULayer,
    other: PReLULayer,
    shape: tuple[int, ...],
    expected: tuple[int, ...] | None,
) -> list[Permutation]:
    """How the reference's axes may have become the candidate's: by what the node says, else shapes.

    What the user says of layouts is about inputs and outputs: inside, a converter has its own.
    Where several fit, a wrong one gives other values, so that the best of them counts.

    Args:
        mine: the reference's layer.
        other: the candidate's.
        shape: of its input.
        expected: the shape of the reference's; None where it is not known.
    """
    rank = len(shape)
    fitting = [
        order
        for order in candidates((None,) * rank if expected is None else expected, shape)
        if mine.slopes.ndim != rank or _lies(mine.slopes.transpose(order).shape, shape)
    ]
    alike = [
        order
        for order in fitting
        if mine.slopes.ndim == rank and mine.slopes.transpose(order).shape == other.slopes.shape
    ]
    fitting = alike or fitting
    stated = [order for order in fitting if order == moved_from(mine.axes, other.axes)]
    if len(other.nodes) > 1:  # what is stated is of the first call: others may lie otherwise
        stated += [order for order in fitting if order not in stated]
    return stated or fitting or [tuple(range(rank))]


def _lies(slopes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(a in (1, b) for a, b in zip(slopes, shape, strict=True))


def own_ulps(
    reference: PReLULayer, orders: Sequence[Permutation], x: Array, y: Array
) -> int | None:
    """The reference's slopes on a candidate's own input, against its own output, in ulps.

    None where the slopes cannot be laid over this input.
    """
    found = [_own(reference, order, x, y) for order in _laying(reference, orders, x.shape)]
    return min((value for value in found if value is not None), default=None)


def _laying(
    mine: PReLULayer, orders: Sequence[Permutation], shape: tuple[int, ...]
) -> Sequence[Permutation]:
    """Those of the orders in which the slopes lie on an input.

    Slopes lie as the first call of their layer has its axes: another call may have them otherwise
    in the reference itself, so that any usual order is tried where none of these fits.
    """
    rank = mine.slopes.ndim
    if rank != len(shape) or not orders:
        return orders
    usual = candidates((None,) * rank, (None,) * rank)
    for some in (orders, usual):
        fitting = [order for order in some if _lies(mine.slopes.transpose(order).shape, shape)]
        if fitting:
            return fitting
    return orders


def is_off(ulps_apart: int | None) -> bool:
    """Whether a layer by itself is farther from the reference's slopes than rounding."""
    return ulps_apart is not None and ulps_apart > _OWN_ULPS


def _own(mine: PReLULayer, order: Permutation, x: Array, y: Array) -> int | None:
    slopes = mine.slopes
    if slopes.size > 1 and slopes.ndim != x.ndim:
        return None
    laid = slopes.reshape(-1)[0] if slopes.size == 1 else slopes.transpose(order)
    laid = np.asarray(laid).astype(x.dtype)
    try:
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            expected = np.where(x > 0, x, laid * x)
    except ValueError:
        return None
    return _ulps_apart(expected, y)


def _right(watched: _Watched) -> bool:
    return watched.lost is None and not is_off(watched.own_ulps)


def _fitting(expected: Array, y: Array, orders: Sequence[Permutation]) -> list[Array]:
    """The output with its axes as the reference's may be."""
    moved = (y.transpose(inverse(order)) for order in orders)
    return [array for array in moved if array.shape == expected.shape]


def _away(expected: Array, y: Array, orders: Sequence[Permutation]) -> float:
    fitting = _fitting(expected, y, orders)
    return min((_distance(expected, array) for array in fitting), default=float("inf"))


def _distance(left: Array, right: Array) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(left.astype(np.float64) - right)
    return float(np.nan_to_num(difference, nan=0.0, posinf=0.0).max(initial=0.0))


def _ulps_apart(expected: Array, y: Array) -> int:
    """The largest difference in ulps of the layer's type, where both are finite."""
    if expected.shape != y.shape:
        return 2**62
    left, right = expected.astype(np.float64), y.astype(np.float64)
    finite = np.isfinite(left)
    unlike = (finite != np.isfinite(right)) | (np.isnan(left) != np.isnan(right))
    if unlike.any():
        return 2**62
    with np.errstate(over="ignore"):
        difference = np.abs(left[finite] - right[finite])
        size = np.maximum(np.abs(left[finite]), np.abs(right[finite]))
        return ulps(difference, size, y.dtype)


def _failed(name: str, reason: str) -> LayerParity:
    return LayerParity(
        name=name,
        slopes_equal=False,
        difference=reason,
        max_abs_diff=None,
        max_ulp_diff=None,
        coverage=None,
        verdict="fail",
    )
