"""Compare the PReLU layers of a candidate with the reference's: slopes, behaviour, and place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.layers.isolated import axis_orders, own_ulps, turned_orders
from prelu_tools.commands.verify.layers.stand_ins import StandIns
from prelu_tools.commands.verify.layers.watched import (
    WatchedLayer,
    agreeing,
    behaviour_of,
    difference_code,
    follow,
    is_right,
    is_same,
)
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.slopediff import (
    LayerPairs,
    SlopeDifference,
    compare_slopes,
    in_type_of,
    owner_of,
    pair_layers,
)
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import Reason, counted
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.parity import Found, LayerParity, Verdict
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.parity import Comparison, worst
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import Extent, Limit, limit_of, resolution, resolution_of

NOT_FOUND = "layer_not_found"
ADDITIONAL = "layer_additional"
CALLS = "layer_calls_differ"
_EXTRA = "a PReLU that the reference does not have"

_REMARK = "end-to-end error larger than rounding error; the outputs and the isolated layer agree"


class LayerJudge:
    """Compares the layers of one candidate while it runs; an observer of its runner."""

    def __init__(
        self,
        reference: Reference,
        found: Sequence[PReLULayer],
        layouts: Layouts,
        tolerance: Tolerance,
        pairs: LayerPairs | None = None,
        narrow: str = "float32",
    ) -> None:
        """Pair the layers.

        Args:
            reference: the reference, which was run.
            found: the candidate's layers.
            layouts: the user's axis orders.
            tolerance: the tolerance for the layers' outputs.
            pairs: which layer is which; None to pair them by name and by order.
            narrow: the type that the candidate computes in.
        """
        self.run = 0
        self._unit = resolution_of(narrow)
        self._reference = reference
        self._layouts = layouts
        self._tolerance = tolerance
        self._is_told = pairs is not None
        pairs = pair_layers(reference.layers, found) if pairs is None else pairs
        typed = tuple(
            (replace(in_type_of(mine, other), rounds=mine.rounds or other.rounds), other)
            for mine, other in pairs.pairs
        )
        self._pairs = replace(pairs, pairs=typed)
        self._by_name = {other.name: (mine, other) for mine, other in self._pairs.pairs}
        self._calls = {  # a layer that was split is reported by the name of the whole
            (layer.name, number): (node, 0) if node in self._by_name else (layer.name, number)
            for layer in found
            for number, node in enumerate(layer.nodes)
        }
        self._watched = {mine.name: WatchedLayer() for mine, _ in self._pairs.pairs}
        self._taken: set[tuple[int, str, int]] = set()
        self._stand_ins = StandIns(self._pairs)

    def observe(self, layer: str, call: int, x: Array, y: Array) -> None:
        """One call of a layer of the candidate, in the run `self.run`."""
        name, number = self._calls.get((layer, call), (layer, call))
        pair = self._by_name.get(name)
        if pair is None:
            self._note_additional(name, number, x, y)
            return
        mine, other = pair
        watched = self._watched[mine.name]
        expected, orders, place = self._counterpart(mine, other, number, x, y)
        if other.slopes.size > 1 and y.ndim > x.ndim:
            watched.lost = (
                f"a slope of shape {list(other.stored_shape)} does not broadcast to an input of "
                f"{list(x.shape)}: the result has more axes"
            )
        elif expected is not None:
            limit = self._limit(mine.name, (self.run, place), y, expected)
            follow(watched, limit, expected, y, orders)
        own = own_ulps(mine, orders, x, y)
        if own is not None:
            watched.own_ulps = max(watched.own_ulps or 0, own)

    def _note_additional(self, name: str, number: int, x: Array, y: Array) -> None:
        same = {}
        for mine, call in self._stand_ins.places(name):
            expected = self._reference.activation(self.run, mine.name, call)
            if expected is not None:
                other = self._stand_ins.additional[name]
                orders = axis_orders(mine, other, x.shape, expected.shape)
                limit = self._limit(mine.name, (self.run, call), y, expected)
                same[mine.name, call] = agreeing(limit, expected, y, orders)
        self._stand_ins.note((name, number), same)

    def agrees(
        self, layer: str, expected: Array, found: Array, place: tuple[int, int] | None = None
    ) -> bool:
        """Whether an array is the output or the input of a reference layer.

        Args:
            layer: the layer's name.
            expected: its output or input.
            found: the array.
            place: the run and the call with that output, so that each value has its own limit; None
                for an input, whose limit is the layer's.
        """
        comparison = Comparison(self._limit(layer, place, found, expected))
        comparison.add(expected, found)
        return comparison.verdict == "pass"

    def _counterpart(
        self, mine: PReLULayer, other: PReLULayer, number: int, x: Array, y: Array
    ) -> tuple[Array | None, AxisAlignment, int]:
        """The reference's output in the same call, its possible axis orders, and the call's number.

        Calls that do not need each other stand in any order in a file. So it is the first one that
        gives the same and was no other call's, its own number before all, and where none does the
        first that was no other's; a graph that uses the wrong one is recognised by what it gives in
        the end.
        """
        numbers = [number, *(n for n in range(len(mine.nodes)) if n != number)]
        free = [n for n in numbers if (self.run, mine.name, n) not in self._taken]
        again = [n for n in numbers if n not in free]  # a call without a counterpart
        first = (free or [number])[0]
        for place in (*free, *(again if len(mine.nodes) != len(other.nodes) else ()), first):
            expected = self._reference.activation(self.run, mine.name, place)
            shape = None if expected is None else expected.shape
            orders = axis_orders(mine, other, x.shape, shape)
            if expected is None:
                continue
            limit = self._limit(mine.name, (self.run, place), y, expected)
            if is_same(limit, expected, y, orders):
                break
            turned = turned_orders(mine, other, x.shape, expected.shape)
            if is_same(limit, expected, y, turned):
                self._watched[mine.name].turned, orders = True, turned
                break
        self._taken.add((self.run, mine.name, place))
        return expected, orders, place

    def _limit(self, name: str, place: tuple[int, int] | None, y: Array, expected: Array) -> Limit:
        extent = self._reference.layer_extents.get(name, Extent())
        scale = None if place is None else self._reference.spread(place[0], name, place[1])
        spread = None
        if scale is not None and scale.shape == expected.shape:
            unit = resolution(y.dtype) if np.issubdtype(y.dtype, np.floating) else SINGLE
            spread = Spread(scale * np.float32(max(unit, self._unit) / SINGLE))
        return limit_of(self._tolerance, extent, y.dtype, spread, expected)

    def paired_by_slopes(self, names: Collection[str]) -> LayerPairs | None:
        """Other pairs of the layers of these names (of the reference), by their slopes.

        None if some have the slopes of no other layer that is left, or none would change.
        """
        wrong = [(mine, other) for mine, other in self._pairs.pairs if mine.name in names]
        left = [other for _, other in wrong] + list(self._pairs.unexpected)
        chosen: dict[str, PReLULayer] = {}
        for mine, _ in wrong:
            bare = replace(mine, input_shape=None)
            fits = [x for x in left if compare_slopes(bare, x).equal]
            if not fits:
                return None
            chosen[mine.name] = fits[0]
            left = [x for x in left if x.name != fits[0].name]
        pairs = tuple((mine, chosen.get(mine.name, other)) for mine, other in self._pairs.pairs)
        return LayerPairs(pairs, self._pairs.missing, tuple(left)) if wrong else None

    @property
    def strays(self) -> bool:
        """Whether a layer's output differed from its counterpart's, as far as it was observed."""
        return any(
            watched.lost is not None or watched.along is None or watched.along.verdict == "fail"
            for watched in self._watched.values()
        )

    def left_over(self, name: str) -> bool:
        """Whether the reference makes a call of a layer that no call of the candidate stood for."""
        return bool(self._free(self._mine(name)))

    def stand_ins(self, name: str) -> list[tuple[str, SlopeDifference]]:
        """The additional layers that stand for calls of a layer, and how their slopes differ."""
        mine = self._mine(name)
        return list(self._stand_ins.of(mine, self._free(mine)))

    def _mine(self, name: str) -> PReLULayer:
        return next(mine for mine, _ in self._pairs.pairs if mine.name == name)

    def _free(self, mine: PReLULayer) -> set[int]:
        """The calls of a layer of the reference that no call of the candidate stood for."""
        taken, numbers = self._taken, range(len(mine.nodes))
        runs = {run for run, layer, _ in taken if layer == mine.name}
        stood_for = {n for n in numbers if all((run, mine.name, n) in taken for run in runs)}
        return set(numbers) - stood_for if runs else set(numbers)

    def parities(
        self, placement: Mapping[str, str], agreed: bool = False
    ) -> tuple[LayerParity, ...]:
        """The outcome for every layer of either side, in the reference's order.

        Args:
            placement: the execution provider of each node of the candidate; empty if unknown.
            agreed: whether all outputs pass: then an end-to-end error of a layer fails nothing.
        """
        found = {
            mine.name: self._parity(mine, other, placement.get(other.nodes[0]))
            for mine, other in self._pairs.pairs
        }
        for layer in self._pairs.missing:
            words = Reason(f"{layer.name}: missing in the candidate", NOT_FOUND)
            found[layer.name] = _failed(layer.name, words, "nowhere")
        order = [layer.name for layer in self._reference.layers if layer.name in found]
        if agreed:
            self._explain(found)
        self._forgive(found, order)
        extra = [
            _failed(layer.name, Reason(f"{layer.name}: {_EXTRA}", ADDITIONAL), "additional")
            for layer in self._pairs.unexpected
        ]
        return (*(found[name] for name in order), *extra)

    def _explain(self, found: dict[str, LayerParity]) -> None:
        """An error that is only end-to-end, while all outputs agree, is noted and fails nothing."""
        for mine, other in self._pairs.pairs:
            layer = found[mine.name]
            if layer.verdict == "fail" and self._only_propagates(mine, other, layer):
                found[mine.name] = replace(layer, verdict="pass", difference=None, note=_REMARK)

    def _forgive(self, found: dict[str, LayerParity], order: Sequence[str]) -> None:
        """Layers after the first divergence only propagate it."""
        others = {mine.name: (mine, other) for mine, other in self._pairs.pairs}
        diverged = False
        for name in order:
            layer = found[name]
            if diverged and name in others and self._only_propagates(*others[name], layer):
                found[name] = replace(layer, verdict="pass", difference=None)
            diverged = diverged or layer.verdict == "fail"

    def _only_propagates(self, mine: PReLULayer, other: PReLULayer, layer: LayerParity) -> bool:
        """Whether only the input of a layer is wrong."""
        watched = self._watched[mine.name]
        strayed = watched.along is not None and watched.along.verdict == "fail"
        same_use = len(mine.nodes) == len(other.nodes)
        right = layer.slopes_equal or layer.found == "rounded"
        return strayed and same_use and right and is_right(watched)

    def _parity(self, mine: PReLULayer, other: PReLULayer, provider: str | None) -> LayerParity:
        watched = self._watched[mine.name]
        slopes = self._compare_slopes(mine, other)
        said = [slopes.description, behaviour_of(watched)]
        words = "; ".join(part for part in said if part)
        along = watched.along
        verdicts: list[Verdict] = ["pass" if slopes.same else "fail"]
        if slopes.ambiguous:
            verdicts = ["inconclusive"]
        code = difference_code(slopes, watched)
        if len(mine.nodes) != len(other.nodes):
            verdicts.append("fail")
            code = code if words else CALLS
            words = (
                words or f"used {counted(len(other.nodes), 'time')}, expected {len(mine.nodes):,}"
            )
        if behaviour_of(watched):
            doubtful = along is not None and along.doubt is not None
            verdicts.append("inconclusive" if doubtful and is_right(watched) else "fail")
        counts = self._reference.coverage.counts(mine.name)
        if not counts.size:
            verdicts.append("inconclusive")
            words = words or "it has no slopes, so nothing is proven"
        behaves = slopes.same and is_right(watched) and watched.own_ulps is not None
        return LayerParity(
            name=mine.name,
            slopes_equal=slopes.equal,
            difference=Reason(f"{mine.name}: {words}", code) if words else None,
            max_abs_diff=None if along is None else along.max_abs,
            max_ulp_diff=watched.own_ulps,
            coverage=float((counts > 0).mean()) if counts.size else None,
            verdict=worst(verdicts),
            deviation=None if along is None else along.deviation,
            limit=None if along is None else along.at_worst,
            n_slopes=int(counts.size),
            n_by_value=int(counts.size) if slopes.equal else slopes.n_equal,
            n_by_behaviour=int((counts > 0).sum()) if behaves else 0,
            least_positions=int(counts.min()) if counts.size else None,
            provider=provider,
            parameter=mine.parameter,
            node=other.nodes[0],
            found="rounded" if slopes.rounded else "pattern",
            note=slopes.note or self._other_name(mine, other),
        )

    def _other_name(self, mine: PReLULayer, other: PReLULayer) -> str | None:
        if not self._is_told or mine.name == other.name:
            return None
        return f"called {other.name!r} in the candidate, where other layers have these names"

    def _compare_slopes(self, mine: PReLULayer, other: PReLULayer) -> SlopeDifference:
        difference = compare_slopes(mine, other, self._layouts.permutation(mine.slopes.ndim))
        for order in sorted(self._watched[mine.name].orders or ()):
            shown = compare_slopes(mine, other, order)
            difference = shown if shown.same else difference
        if self._watched[mine.name].turned:
            return SlopeDifference(True)
        if difference.same or difference.ambiguous:
            return difference
        others = [layer for layer in self._reference.layers if layer.name != mine.name]
        owner = owner_of(other, others)
        return replace(difference, description=f"has {owner}'s slopes") if owner else difference


def _failed(name: str, reason: Reason, found: Found) -> LayerParity:
    return LayerParity(
        name=name,
        slopes_equal=False,
        difference=reason,
        max_abs_diff=None,
        max_ulp_diff=None,
        coverage=None,
        verdict="fail",
        found=found,
    )
