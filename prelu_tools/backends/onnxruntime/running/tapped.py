"""Observe an ONNX model while it runs: the input and the output of each PReLU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from prelu_tools.backends.onnxruntime.running.values import ValueSession
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation, inverse
from prelu_tools.core.process.grouping import grouped
from prelu_tools.graph.copies.carrying import TensorPlace, path_of
from prelu_tools.graph.copies.instrument import element_type, tensor_bytes
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer


class Tap(NamedTuple):
    """A PReLU that can be looked at."""

    layer: str
    """The layer's name."""
    number: int
    """Which of the layer's calls it is; of those in bodies the first."""
    x: TensorPlace
    """The tensor that goes in."""
    y: TensorPlace
    """The tensor that comes out."""
    order: Permutation | None
    """The Transpose that the form contains besides PReLU: y = transpose(PReLU(x), order)."""


def taps_of(located: Sequence[LocatedLayer]) -> tuple[Tap, ...]:
    """The PReLU that can be looked at: not those in a Scan, nor in a body before opset 13."""
    found = []
    for item in located:
        places = [(path_of(view), view, match) for view, match in item.calls]
        places.sort(key=lambda call: bool(call[0]))  # bodies come last: they may run repeatedly
        for number, (path, view, match) in enumerate(places):
            if path is not None:
                kind = element_type(view, match)
                x, y = (TensorPlace(path, n, kind) for n in (match.x, match.node.output[0]))
                found.append(Tap(item.layer.name, number, x, y, match.order))
    return tuple(found)


class TappedSession:
    """A session of a model whose PReLU can be looked at, a few layers at a time."""

    def __init__(self, model: OnnxModel, taps: Sequence[Tap], provider: str, label: str) -> None:
        """Load the skeleton of a model with taps; onnxruntime reads the weights from its file.

        Args:
            model: the model that the taps are in (as `LocatedLayer` has it: functions inlined).
            taps: what to look at.
            provider: see `Session`.
            label: the model's name for messages.

        Raises:
            PReLUToolsError: see `Session`.
        """
        self._main = [tap for tap in taps if not tap.x.path]
        self._inner = [tap for tap in taps if tap.x.path]
        self._proto = model.proto
        self._session = ValueSession(model, _places(taps), provider, label)
        self.placement = self._session.placement

    def parts(self, feeds: Mapping[str, Array]) -> Iterator[tuple[Tap, Array, Array]]:
        """Each call with its input, and its output in the same axis order.

        The model is run once for every few of them.
        """
        shapes = {name: array.shape for name, array in feeds.items()}
        names = [place.name for place in _places(self._main)]
        sizes = tensor_bytes(self._proto, shapes, names)
        pairs = [a + b for a, b in zip(sizes[::2], sizes[1::2], strict=True)]
        for group in grouped(self._main, pairs):
            found, _ = self._session.fetch(feeds, _places(group))
            for tap in group:
                yield tap, found[tap.x][0], in_order_of_input(tap, found[tap.y][0])
        if self._inner:
            found, _ = self._session.fetch(feeds, _places(self._inner))
            yield from calls_in_bodies(self._inner, found)

    def outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The model's own outputs."""
        return self._session.fetch(feeds, [], [v.name for v in self._proto.graph.output])[1]

    def run(self, feeds: Mapping[str, Array], observe: Observer) -> None:
        """Tell an observer of every call."""
        for tap, x, y in self.parts(feeds):
            observe(tap.layer, tap.number, x, y)


def calls_in_bodies(
    taps: Iterable[Tap], found: Mapping[TensorPlace, Sequence[Array]]
) -> Iterator[tuple[Tap, Array, Array]]:
    """The calls in bodies, numbered in the order in which they are made, as far as that is known.

    Calls of one layer in one body take turns.
    """
    numbers: dict[str, int] = {}
    for _, group in groupby(taps, key=lambda tap: (tap.layer, tap.x.path)):
        members = list(group)
        numbers.setdefault(members[0].layer, members[0].number)
        turns = [list(zip(found[tap.x], found[tap.y], strict=True)) for tap in members]
        for turn in range(max(map(len, turns))):
            for tap, calls in zip(members, turns, strict=True):
                if turn < len(calls):
                    x, y = calls[turn]
                    number = numbers[tap.layer]
                    numbers[tap.layer] += 1
                    yield tap._replace(number=number), x, in_order_of_input(tap, y)


def in_order_of_input(tap: Tap, y: Array) -> Array:
    """What comes out of a PReLU, with the axes as its input has them."""
    return y if tap.order is None else y.transpose(inverse(tap.order))


def _places(taps: Iterable[Tap]) -> list[TensorPlace]:
    return [place for tap in taps for place in (tap.x, tap.y)]
