"""Run an ONNX model with the result of every operator perturbed at random, as rounding may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.onnxruntime.running.tapped import TappedSession, taps_of
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.graph.copies.perturbing import perturbed_model
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer


class PerturbedRunner:
    """A session of a perturbed copy; see `graph/copies/perturbing.py`."""

    def __init__(
        self,
        model: OnnxModel,
        located: Sequence[LocatedLayer],
        label: str,
        noise: Noise,
        observe: Observer | None,
    ) -> None:
        """Load nothing yet: how many terms sums have shows in the first inputs."""
        self._located = located
        self._model = located[0].calls[0][0].model if located else model
        self._label = label
        self._noise = noise
        self._observe = observe
        self._session: Session | TappedSession | None = None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`.

        Raises:
            PReLUToolsError: see `Session`.
        """
        if self._session is None:
            self._session = self._open(feeds)
        if isinstance(self._session, Session):
            return self._session.run(feeds)
        if self._observe is not None:
            self._session.run(feeds, self._observe)
        return self._session.outputs(feeds)

    def _open(self, feeds: Mapping[str, Array]) -> Session | TappedSession:
        model = self._model
        shapes = {name: array.shape for name, array in feeds.items()}
        perturbed = perturbed_model(model.proto, shapes, self._noise)
        taps = taps_of(self._located)
        if self._observe is not None and taps:
            return TappedSession(replace(model, proto=perturbed), taps, "cpu", self._label)
        return Session(perturbed, "cpu", self._label, model.folder)
