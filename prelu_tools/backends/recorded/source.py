"""A recorded run as a source: it knows the results that were recorded, and cannot be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.inputs import SearchLimits, TensorSpec
from prelu_tools.backends.protocol.recording import RecordedLayer, Recording
from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
from prelu_tools.backends.recorded.formulas import answer
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.special import special_input
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.core.rounding.tolerance import resolution_of

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Conversion
    from prelu_tools.graph.facts.dependence import Dependence


_SPECIAL = ("float16", "float32", "float64")
_TYPES = (*_SPECIAL, "bfloat16")


class RecordedSource(SourceDefaults):
    """What `prelu-tools record` kept of a model; its doubts say what was random, or never taken."""

    def __init__(self, label: str, recording: Recording) -> None:
        """Take the contents of a file."""
        self.label = label
        self.framework = recording.framework
        self.producer = recording.producer
        self.n_parameters = recording.n_parameters
        self._recording = recording

    @property
    def recording(self) -> Recording:
        """See `Source.recording`."""
        return self._recording

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Source.notes`: that it is a record, and of what."""
        made = self._recording
        version = made.versions.get("prelu-tools", "unknown")
        by = f" ({made.producer})" if made.producer else ""
        text = f"{self.label} is a record of {made.source}{by}, made with prelu-tools {version}"
        return (Reason(text, "recorded_reference"),)

    @property
    def computes_in(self) -> str | None:
        """See `Source.computes_in`: as it was recorded."""
        return self._recording.computes_in

    @property
    def unnamed(self) -> frozenset[str]:
        """See `Source.unnamed`: as it was recorded."""
        return self._recording.unnamed

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: as they were recorded."""
        return self._recording.inputs

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return self._layers

    @cached_property
    def _layers(self) -> tuple[PReLULayer, ...]:
        found = []
        for recorded in self._recording.layers:
            layer = recorded.layer
            too_many = layer.slopes.ndim > len(layer.input_shape or ()) > 0
            if not layer.nodes or not layer.slopes.size or too_many:
                raise PReLUToolsError(
                    f"{self.label} is damaged: the slopes of {layer.name} have shape "
                    f"{list(layer.slopes.shape)}, but its input has shape "
                    f"{list(layer.input_shape or ())}"
                )
            found.append(layer)
        if len({layer.name for layer in found}) < len(found):
            raise PReLUToolsError(f"{self.label} is damaged: two of its layers have the same name")
        return tuple(found)

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """Not available: it has no model.

        Raises:
            PReLUToolsError: always.
        """
        self._refuse("cannot be run on inputs other than its own")

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """Not available; see `runner`."""
        self._refuse("cannot be run in float64")

    def perturbed_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """Not available; see `runner`."""
        for kind, why in self._recording.not_coarser.items():
            if kind in _TYPES and resolution_of(kind) == noise.unit:
                raise PReLUToolsError(f"{self.label} has no limits for {kind}: {why}")
        self._refuse(f"has no limits for values that are rounded to {noise.unit:.3g} of their size")

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: any input with a formula, otherwise special values only."""
        recorded = self._recorded(layer)
        if recorded is None:
            raise PReLUToolsError(f"{layer} is not a layer of {self.label}")
        formula, slopes = recorded.formula, recorded.layer.slopes
        if formula is not None:
            return lambda x: answer(formula, x, slopes.astype(x.dtype))
        return lambda x: self._answer(recorded, x)

    def _recorded(self, layer: str) -> RecordedLayer | None:
        return next((one for one in self._recording.layers if one.layer.name == layer), None)

    def _answer(self, recorded: RecordedLayer, x: Array) -> Array:
        layer = recorded.layer
        for kind, stored in recorded.special.items():
            known = special_input(layer, np.dtype(kind)) if kind in _SPECIAL else x[:0]
            if known.shape == x.shape and np.array_equal(known.astype(x.dtype), x, equal_nan=True):
                found = stored.load().astype(x.dtype)
                break
        else:
            self._refuse(f"lacks the results of {layer.name} for these values")
        if found.shape != x.shape:
            raise PReLUToolsError(
                f"{self.label} is damaged: the results of {layer.name} for special values have "
                f"shape {list(found.shape)[:8]}; expected {list(x.shape)}"
            )
        return found

    def is_unread(self, layer: str, _feeds: Mapping[str, Array]) -> bool:
        """See `Source.is_unread`: as it was recorded."""
        recorded = self._recorded(layer)
        return recorded is not None and recorded.is_unread

    def dependence(self, output: str) -> Dependence | None:
        """See `Source.dependence`: as it was recorded."""
        from prelu_tools.graph.facts.dependence import Dependence

        facts = self._recording.outputs.get(output)
        known = None if facts is None else facts.dependence
        return None if known not in tuple(Dependence) else Dependence(known)

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """Not available; see `runner`."""
        self._refuse("cannot be searched for inputs")

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """Not available; see `runner`."""
        self._refuse("cannot be converted")

    def _refuse(self, what: str) -> NoReturn:
        raise PReLUToolsError(
            f"{self.label} is a record and {what}: use the model that it was made from, "
            f"{self._recording.source}"
        )
