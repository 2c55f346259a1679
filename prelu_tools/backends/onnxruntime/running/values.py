"""Tensors from inside an ONNX model as it runs, including those of bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.core.arrays import Array
from prelu_tools.graph.copies.carrying import TensorPlace, carry_out
from prelu_tools.graph.copies.instrument import tapped
from prelu_tools.graph.io.reader import OnnxModel


class ValueSession:
    """A session of a copy of a model that shows some of its tensors."""

    def __init__(
        self, model: OnnxModel, places: Iterable[TensorPlace], provider: str, label: str
    ) -> None:
        """Load the skeleton of the copy; onnxruntime reads the weights from the model's file.

        Args:
            model: the model that the places are in.
            places: what to show.
            provider: see `Session`.
            label: the model's name for messages.

        Raises:
            PReLUToolsError: see `Session` and `carry_out`.
        """
        wanted = list(dict.fromkeys(places))
        inner = [place for place in wanted if place.path]
        copy = tapped(model.proto, [place.name for place in wanted if not place.path])
        carried = dict(zip(inner, carry_out(copy.graph, inner), strict=True))
        self._names = {place: carried.get(place, place.name) for place in wanted}
        self._session = Session(copy, provider, label, model.folder)
        self.placement = self._session.placement

    def fetch(
        self,
        feeds: Mapping[str, Array],
        places: Sequence[TensorPlace],
        outputs: Sequence[str] = (),
    ) -> tuple[dict[TensorPlace, list[Array]], dict[str, Array]]:
        """The values that tensors take in one run, and some of the model's own outputs.

        A tensor of the main graph takes one value; one of a body as many as its body runs.

        Raises:
            PReLUToolsError: see `Session`.
        """
        names = [self._names[place] for place in places]
        found: dict[str, Array | list[Array]] = dict(
            self._session.fetch(feeds, list(dict.fromkeys([*names, *outputs])))
        )
        values = {}
        for place, name in zip(places, names, strict=True):
            value = found[name]
            values[place] = value if isinstance(value, list) else [value]
        return values, {name: np.asarray(found[name]) for name in outputs}
