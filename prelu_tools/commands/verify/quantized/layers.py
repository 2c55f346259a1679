"""The PReLU layers of a quantized candidate as it runs: each on its own input, and end to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from prelu_tools.commands.verify.layers.isolated import axis_orders
from prelu_tools.commands.verify.quantized.signs import ChannelSigns
from prelu_tools.commands.verify.quantized.slopes import is_coarse, pair_snapped
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.prelu.faults import faults_in
from prelu_tools.core.prelu.slopediff import SlopeDifference, compare_slopes, owner_of
from prelu_tools.core.prelu.slopes import PReLULayer, broadcasts, laid_over
from prelu_tools.core.results.reasons import Reason, are, counted
from prelu_tools.core.results.verification.candidate import Power
from prelu_tools.core.results.verification.parity import LayerParity, Verdict
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.tolerance import Limit
from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.quantized.codes import Codes
from prelu_tools.graph.quantized.meaning import Meaning
from prelu_tools.graph.quantized.writer import PICKING

_ROUNDING = 0.55  # of a step, for each rounding to codes in a region
_MOST_PLANTED = 500_000  # values of a layer in which faults are planted
_FLOAT = 4 * 2.0**-23  # relative: forms in floating point round a few times


@dataclass
class _Seen:
    """Observations of one layer while the candidate ran."""

    off: float = 0.0
    """The largest distance from the reference's slopes on its own input, as a share of what
    rounding to its codes may do."""
    n_calls: int = 0
    n_negative: int = 0
    """Values below 0 that went in."""
    n_cut: int = 0
    """Those of them that were cut off on the way: the layer's slopes have no effect on these."""
    end_to_end: Comparison = field(default_factory=lambda: Comparison(Limit(np.inf, np.inf)))
    lost: str | None = None


class _Call(NamedTuple):
    """A call of a layer, as the candidate ran."""

    number: int
    match: Match
    x: Array
    y: Array
    cut: Array
    """Where its values were cut off on the way."""


class QuantizedLayers:
    """Compares the layers of one quantized candidate with the reference's."""

    def __init__(
        self, reference: Reference, located: Sequence[LocatedLayer], meaning: Meaning
    ) -> None:
        """Pair the layers."""
        self._reference = reference
        self._meaning = meaning
        self._producer = {n: node for node in meaning.model.proto.graph.node for n in node.output}
        snapped = pair_snapped(reference.layers, located)
        self._steps, self._apart = snapped.widths, snapped.apart
        self._pairs = pairs = snapped.pairs
        self._signs = {name: ChannelSigns(which) for name, which in snapped.inverted.items()}
        self._matches = {item.layer.name: item.matches for item in located}
        self._seen = {mine.name: _Seen() for mine, _ in pairs.pairs}
        self._planted: list[tuple[bool, bool]] = []

    def tensors(self, known: Iterable[str]) -> tuple[str, ...]:
        """The tensors of the candidate to fetch in each run."""
        has = set(known)
        names = [
            name
            for _, _, match in self._calls()
            if {match.x, match.node.output[0]} <= has
            for name in (match.x, match.node.output[0], *self._inner(match))
            if name in has
        ]
        return tuple(dict.fromkeys(names))

    def _inner(self, match: Match) -> list[str]:
        """The tensors of codes between the input of a PReLU and its output."""
        made = (name for node in match.nodes for name in node.output)
        ends = (match.x, match.node.output[0])
        return [name for name in made if name in self._meaning.codes and name not in ends]

    def observe(self, run: int, values: Mapping[str, Array]) -> None:
        """One run: the tensors of `tensors`, as the candidate computed them."""
        for mine, number, match in self._calls():
            if match.x not in values or match.node.output[0] not in values:
                continue
            x, y = (self._reals(n, values[n]) for n in (match.x, match.node.output[0]))
            cut = self._cut_off(match, values, x.shape)
            call = _Call(number, match, x, y, cut)
            self._count(self._seen[mine.name], call)
            self._observe(mine, run, call)

    def _cut_off(self, match: Match, values: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
        """Where a value on the way is at the end of its range: there nothing is proven."""
        cut = np.zeros(shape, bool)
        for name in self._inner(match):
            codes = self._meaning.codes[name]
            if name not in values or values[name].dtype.kind == "f" or codes.zero.size > 1:
                continue
            info = np.iinfo(values[name].dtype)
            for end in {info.min, info.max} - {int(codes.zero.item())}:
                at_end = values[name] == end
                if at_end.shape == shape:
                    cut |= at_end
        return cut

    def _count(self, seen: _Seen, call: _Call) -> None:
        """How many of the negative values are at an end of the ranges around the layer."""
        cut = call.cut.copy()
        before = self._codes_before(call.match.x)
        after = codes_of_input(self._meaning, call.match.node.output[0])
        if before is not None and before.scale.size == 1:
            cut |= call.x <= before.ends[0] + before.step / 2
        if after is not None and after.scale.size == 1 and call.y.shape == cut.shape:
            cut |= (call.y <= after.ends[0]) | (call.y >= after.ends[1])
        seen.n_negative += int((call.x < 0).sum())
        seen.n_cut += int((cut & (call.x < 0)).sum())

    def _codes_before(self, name: str) -> Codes | None:
        """The codes that a tensor was made of."""
        while name not in self._meaning.codes:
            node = self._producer.get(name)
            if node is None or node.op_type != "Identity":
                return None
            name = node.input[0]
        return self._meaning.codes[name]

    def _calls(self) -> Iterator[tuple[PReLULayer, int, Match]]:
        for mine, other in self._pairs.pairs:
            for number, match in enumerate(self._matches.get(other.name, ())):
                yield mine, number, match

    def _reals(self, name: str, values: Array) -> Array:
        codes = self._meaning.codes.get(name)
        return values if codes is None or values.dtype.kind == "f" else codes.reals(values)

    def _observe(self, mine: PReLULayer, run: int, call: _Call) -> None:
        x, y = call.x, call.y
        seen = self._seen[mine.name]
        other = next(o for m, o in self._pairs.pairs if m.name == mine.name)
        expected = self._reference.activation(run, mine.name, call.number)
        orders = axis_orders(mine, other, x.shape, None if expected is None else expected.shape)
        slopes = laid_over(mine, x.ndim)
        if slopes is None or x.shape != y.shape:
            seen.lost = f"gives {list(y.shape)} for an input of {list(x.shape)}"
            return
        shares = []
        for order in orders:
            laid = slopes.transpose(order)
            if broadcasts(laid.shape, x.shape):
                shares.append((self._share(laid, mine, call), laid))
        if not shares:
            seen.lost = f"its slopes do not broadcast to an input of {list(x.shape)}"
            return
        least, laid = min(shares, key=lambda share: share[0])
        seen.off = max(seen.off, least)
        if run == call.number == 0 and least <= 1:
            self._plant(laid, mine, call)
        seen.n_calls += 1
        nearest = None if expected is None else orders.nearest(expected, y)
        if expected is not None and nearest is not None:
            if mine.name in self._signs:
                nearest = self._signs[mine.name].restored(expected, nearest)
            seen.end_to_end.add(expected, nearest)

    def _plant(self, slopes: Array, mine: PReLULayer, call: _Call) -> None:
        """Add the effect of wrong slopes to a layer's output, and compare again."""
        rows = max(1, _MOST_PLANTED * len(call.x) // max(call.x.size, 1))
        if slopes.shape[0] == 1:
            call = call._replace(x=call.x[:rows], y=call.y[:rows], cut=call.cut[:rows])
        below = np.minimum(call.x.astype(np.float64), 0)
        axes = tuple(axis for axis, size in enumerate(slopes.shape) if size == 1)
        reached = ((below < 0) & ~call.cut).any(axis=axes).reshape(-1)
        end = self._meaning.codes.get(call.match.node.output[0])
        low, high = (-np.inf, np.inf) if end is None else end.ends
        for fault in faults_in(0, [slopes], reached, 0, DEFAULT_SEED):
            wrong = call.y + (fault.slopes.astype(np.float64) - slopes) * below
            share = self._share(slopes, mine, call._replace(y=np.clip(wrong, low, high)))
            is_reached = bool((fault.touched & reached).any())
            self._planted.append((share > 1, is_reached))

    def notes(self, label: str) -> Iterator[str]:
        """Unusual but right findings."""
        negated = [n for s in self._signs.values() if s.doubt is None and (n := s.n_negated)]
        if negated:
            total = sum(negated)
            yield Reason(
                f"{label}: {counted(total, 'slope')} of {counted(len(negated), 'layer')} "
                f"{are(total)} 1/a where the reference has a; the channels are negated, which "
                "computes the same",
                "channels_negated",
            )

    def power(self) -> Power:
        """Which slope faults its layers show: of each layer's first call in the first run."""
        caught = sum(noticed for noticed, _ in self._planted)
        unreached = sum(not (noticed or reached) for noticed, reached in self._planted)
        hidden = len(self._planted) - caught - unreached
        return Power(caught, caught, caught, 0, (), unreached, sampled=True, hidden=hidden)

    @np.errstate(all="ignore")
    def _share(self, slopes: Array, mine: PReLULayer, call: _Call) -> float:
        """The distance of an output from PReLU of its input, as a share of allowed rounding."""
        match, x, y = call.match, call.x, call.y
        wide = x.astype(np.float64)
        expected = np.where(wide > 0, wide, slopes.astype(np.float64) * wide)
        end = self._meaning.codes.get(match.node.output[0])
        steps = [self._meaning.codes[n].step for node in match.nodes for n in node.output
                 if n in self._meaning.codes and n != match.x]  # fmt: skip
        steepest = float(np.abs(mine.slopes).max(initial=1.0))
        room: Array | float = _ROUNDING * sum(steps) * steepest
        behind = end or codes_of_input(self._meaning, match.node.output[0])
        if behind is not None:
            clipped = np.clip(expected, *behind.ends)
            room = room + _ROUNDING * behind.step
            if end is None:
                room = room + np.abs(expected - clipped)
            else:
                expected = clipped
        allowed = room + _ROUNDING * self._steps[mine.name] * np.maximum(-wide, 0)
        allowed = allowed + _FLOAT * np.abs(wide) * steepest
        share = np.where(expected == y, 0.0, np.abs(expected - y) / allowed)
        return float(np.where(call.cut, 0.0, np.nan_to_num(share, nan=np.inf)).max(initial=0.0))

    def parities(self, placement: Mapping[str, str], agreed: bool) -> tuple[LayerParity, ...]:
        """The outcome for every layer of either side, in the reference's order.

        Args:
            placement: the execution provider of each node; empty if unknown.
            agreed: whether all outputs pass: then a layer that is not found fails nothing.
        """
        lost: Verdict = "inconclusive" if agreed else "fail"
        found = {
            mine.name: self._parity(mine, other, placement) for mine, other in self._pairs.pairs
        }
        for layer in self._pairs.missing:
            words = Reason(
                f"{layer.name}: not found in the candidate, whose layers are quantized",
                "layer_not_found",
            )
            found[layer.name] = LayerParity(
                layer.name, False, words, None, None, None, lost, found="nowhere"
            )
        extra = [
            LayerParity(
                layer.name, False,
                Reason(f"{layer.name}: a PReLU that the reference does not have",
                       "layer_additional"),
                None, None, None, lost, found="additional",
            )
            for layer in self._pairs.unexpected
        ]  # fmt: skip
        order = [layer.name for layer in self._reference.layers if layer.name in found]
        return (*(found[name] for name in order), *extra)

    def _parity(
        self, mine: PReLULayer, other: PReLULayer, placement: Mapping[str, str]
    ) -> LayerParity:
        seen, step = self._seen[mine.name], self._steps[mine.name]
        slopes = self._compare(mine, other)
        verdict, code, said = self._verdict(mine, slopes)
        words = "; ".join(part for part in said if part)
        counts = self._reference.coverage.counts(mine.name)
        behaves = slopes.equal and seen.n_calls > 0 and not seen.lost and seen.off <= 1.0
        deviation = seen.end_to_end.deviation if seen.n_calls else None
        return LayerParity(
            name=mine.name,
            slopes_equal=slopes.equal,
            difference=Reason(f"{mine.name}: {words}", code) if words else None,
            max_abs_diff=None if deviation is None else deviation.max_abs,
            max_ulp_diff=None,
            coverage=float((counts > 0).mean()) if counts.size else None,
            verdict=verdict,
            deviation=deviation,
            n_slopes=int(counts.size),
            n_by_value=int(counts.size) if slopes.equal else 0,
            n_by_behaviour=int((counts > 0).sum()) if behaves else 0,
            least_positions=int(counts.min()) if counts.size else None,
            provider=placement.get(other.nodes[0]),
            parameter=mine.parameter,
            node=other.nodes[0],
            slope_step=step or None,
            slope_error=self._apart[mine.name] if step else None,
        )

    def _verdict(
        self, mine: PReLULayer, slopes: SlopeDifference
    ) -> tuple[Verdict, str, list[str | None]]:
        """The verdict on a layer, and the code and the words of why it is no pass."""
        seen, step = self._seen[mine.name], self._steps[mine.name]
        said = [slopes.description, seen.lost]
        verdict: Verdict = "pass"
        code = "slopes_differ"
        signs = self._signs.get(mine.name)
        doubt = None if signs is None else signs.doubt
        if not slopes.equal:
            verdict = "inconclusive" if slopes.ambiguous else "fail"
        elif signs is not None and doubt is not None:
            verdict, code = ("fail" if signs.n_kept else "inconclusive"), "slopes_inverted"
            said.append(doubt)
        if seen.lost or seen.off > 1.0:
            verdict, code = "fail", code if not slopes.equal else "layer_differs"
            words = (
                f"in isolation its error is {seen.off:.3g} times what rounding to integer codes "
                "can explain"
            )
            said.append(None if seen.lost else words)
        elif slopes.equal and 2 * seen.n_cut > seen.n_negative:
            verdict, code = "inconclusive", "slopes_cut_off"
            said.append(
                f"{seen.n_cut / seen.n_negative:.0%} of its negative values are cut off at the end "
                "of a range, so its slopes hardly count: the ranges do not fit these inputs"
            )
        elif slopes.equal and is_coarse(mine.slopes, step):
            verdict, code = "inconclusive", "slopes_too_coarse"
            said.append(f"its quantization step, {step:.3g}, is too wide to show its slopes")
        return verdict, code, said

    def _compare(self, mine: PReLULayer, other: PReLULayer) -> SlopeDifference:
        difference = compare_slopes(mine, other)
        if difference.equal:
            return difference
        others = [layer for layer in self._reference.layers if layer.name != mine.name]
        owner = owner_of(other, others)
        return replace(difference, description=f"has {owner}'s slopes") if owner else difference


def codes_of_input(meaning: Meaning, name: str) -> Codes | None:
    """The codes to which a quantized model rounds a tensor, or a moved copy of it; None for none.

    Runtimes round before they move: a tensor after a Transpose may be rounded before it.
    """
    left = [name]
    for tensor in left:
        for node in meaning.model.proto.graph.node:
            if tensor in node.input and node.output and node.output[0] in meaning.rounded:
                return meaning.codes[node.output[0]]
            if list(node.input[:1]) == [tensor] and node.op_type in PICKING:
                left.append(node.output[0])
    return None
