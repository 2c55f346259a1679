"""PReLUs that the reference does not have, where the candidate lacks calls."""

from __future__ import annotations

from collections.abc import Iterator

from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.prelu.slopediff import LayerPairs, SlopeDifference, compare_slopes
from prelu_tools.core.prelu.slopes import PReLULayer

Place = tuple[str, int]
"""A layer of the reference, and the number of one of its calls."""


class StandIns:
    """Additional layers with the output of a call that has no counterpart in its own layer.

    A file that has the slopes of one layer twice (once for each axis order, say) shows two layers
    as soon as the two tensors differ. Where a call meets no negative input, its output says
    nothing of that; the slopes that the file states do.
    """

    def __init__(self, pairs: LayerPairs) -> None:
        """Prepare for layers that are paired like this."""
        self.additional = {layer.name: layer for layer in pairs.unexpected}
        self._fewer = [a for a, b in pairs.pairs if len(b.nodes) < len(a.nodes)]
        self._seen: dict[Place, dict[Place, frozenset[Permutation]]] = {}

    def places(self, layer: str) -> Iterator[tuple[PReLULayer, int]]:
        """The calls that an additional layer could stand for."""
        if layer in self.additional:
            for mine in self._fewer:
                yield from ((mine, number) for number in range(len(mine.nodes)))

    def note(self, call: Place, same: dict[Place, frozenset[Permutation]]) -> None:
        """The output of an additional layer's call in one run.

        Args:
            call: the layer's name, and the number of the call.
            same: the calls of the reference with the same output, and the axis orders.
        """
        before = self._seen.get(call, same)
        kept = {place: before[place] & same[place] for place in before.keys() & same.keys()}
        self._seen[call] = {place: orders for place, orders in kept.items() if orders}

    def of(self, mine: PReLULayer, free: set[int]) -> Iterator[tuple[str, SlopeDifference]]:
        """The additional layers in the place of a layer's calls, and how their slopes differ.

        Args:
            mine: the layer of the reference.
            free: the numbers of its calls that none of its own calls in the candidate stands for.
        """
        for (name, _), places in self._seen.items():
            other = self.additional[name]
            for (layer, number), orders in places.items():
                if layer == mine.name and number in free:
                    yield name, _nearest(mine, other, orders)


def _nearest(
    mine: PReLULayer, other: PReLULayer, orders: frozenset[Permutation]
) -> SlopeDifference:
    """How slopes differ in the axis order in which they do least."""
    found = [compare_slopes(mine, other, order) for order in sorted(orders)]
    return min(found, key=lambda difference: (not difference.equal, difference.ambiguous))
