"""Look into an ONNX model while it runs: what goes into each PReLU, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prelu_tools.backends.onnxruntime.session import Session
from prelu_tools.backends.runners import Observer
from prelu_tools.core.arrays import Array
from prelu_tools.core.grouping import grouped
from prelu_tools.core.prelu.layout import Permutation, inverse
from prelu_tools.graph.copies.instrument import tapped, tensor_bytes
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer


class Tap(NamedTuple):
    """One call of a PReLU that can be looked at."""

    layer: str
    """The layer's name."""
    number: int
    """Which call of it."""
    x: str
    """The tensor that goes in."""
    y: str
    """The tensor that comes out."""
    order: Permutation | None
    """The Transpose that the form hides beside PReLU: y = transpose(PReLU(x), order)."""


def taps_of(located: Sequence[LocatedLayer]) -> tuple[Tap, ...]:
    """The calls in the main graph; those in the body of an If, Loop or Scan cannot be tapped."""
    return tuple(
        Tap(item.layer.name, number, match.x, match.node.output[0], match.order)
        for item in located
        for number, (view, match) in enumerate(item.calls)
        if view.outer is None
    )


class TappedSession:
    """A session of a model whose PReLU can be looked at, a few layers at a time."""

    def __init__(self, model: OnnxModel, taps: Sequence[Tap], provider: str, spelled: str) -> None:
        """Load the skeleton of a model with taps; onnxruntime reads the weights from its file.

        Args:
            model: the model that the taps are in (as `LocatedLayer` has it: functions inlined).
            taps: what to look at.
            provider: see `Session`.
            spelled: the model's name for messages.

        Raises:
            PReLUToolsError: see `Session`.
        """
        self._taps = taps
        self._proto = model.proto
        self._names = [name for tap in taps for name in (tap.x, tap.y)]
        folder = None if model.file is None else model.file.parent
        self._session = Session(tapped(model.proto, self._names), provider, spelled, folder)
        self.placement = self._session.placement

    def parts(self, feeds: Mapping[str, Array]) -> Iterator[tuple[Tap, Array, Array]]:
        """Each tap with its input, and its output in the same axis order.

        The model is run once for every few of them.
        """
        shapes = {name: array.shape for name, array in feeds.items()}
        sizes = tensor_bytes(self._proto, shapes, self._names)
        pairs = [a + b for a, b in zip(sizes[::2], sizes[1::2], strict=True)]
        for group in grouped(self._taps, pairs):
            names = dict.fromkeys(name for tap in group for name in (tap.x, tap.y))
            found = self._session.fetch(feeds, list(names))
            for tap in group:
                y = found[tap.y]
                yield tap, found[tap.x], y if tap.order is None else y.transpose(inverse(tap.order))

    def outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The model's own outputs."""
        return self._session.fetch(feeds, [value.name for value in self._proto.graph.output])

    def run(self, feeds: Mapping[str, Array], observe: Observer) -> None:
        """Tell an observer of every call."""
        for tap, x, y in self.parts(feeds):
            observe(tap.layer, tap.number, x, y)
