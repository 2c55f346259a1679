"""A TensorFlow SavedModel that runs: its signature as one flat graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.backends.keras.conversion.convert import convert_program
from prelu_tools.backends.keras.files.saved_vetting import refuse_unsafe
from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.finding import find_inside
from prelu_tools.backends.keras.graphs.marks import with_marks
from prelu_tools.backends.keras.graphs.program import Program
from prelu_tools.backends.keras.graphs.signature import trace_signature
from prelu_tools.backends.keras.running.lookups import find_lookups
from prelu_tools.backends.keras.running.search import gradients_in
from prelu_tools.backends.keras.running.wide import ProgramRunner
from prelu_tools.backends.probing.seeking import seek
from prelu_tools.backends.protocol.calls import (
    PReLUCall,
    Tally,
    activation_of,
    layers_of,
)
from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.inputs import Lookup, SearchLimits, TensorSpec
from prelu_tools.backends.protocol.interface import Conversion
from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import explaining
from prelu_tools.core.options import ConversionOptions, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.rounding.noise import Noise


def from_file(path: Path, label: str, options: SourceOptions) -> SavedModelSource:
    """Load the folder of a SavedModel.

    Raises:
        PReLUToolsError: it cannot be loaded, or has no signature to run.
    """
    return SavedModelSource(load(path, options), label, options)


def load(path: Path, options: SourceOptions) -> Any:
    """What TensorFlow makes of the folder of a SavedModel.

    Raises:
        PReLUToolsError: it cannot be loaded, or would do more than compute.
    """
    if not options.allow_unsafe_load:
        refuse_unsafe(path)
    with explaining(f"{path} cannot be loaded as a SavedModel"), quiet(options.show_chatter):
        return tf.saved_model.load(str(path))


class SavedModelSource(SourceDefaults):
    """The default signature of a SavedModel."""

    framework = "keras"

    def __init__(self, loaded: Any, label: str, options: SourceOptions) -> None:
        """Take what TensorFlow loaded.

        Raises:
            PReLUToolsError: it has no signature, or several and none is the default.
        """
        self.label = label
        self.producer = f"tensorflow {tf.__version__}"
        self._options = options
        self._loaded = loaded  # keeps its variables alive
        self._traced = trace_signature(loaded, label, options)

    @cached_property
    def _found(self) -> tuple[Program, list[PReLUCall]]:
        inside = find_inside(self._traced, self._traced.weights)
        program = with_marks(self._traced, [found.tap for found in inside])
        return program, [found.call for found in inside]

    @property
    def n_parameters(self) -> int:
        """Elements of all variables that the signature reads."""
        return sum(int(np.prod(weight.shape)) for weight in self._traced.weights)

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from the signature."""
        return self._traced.specs

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return layers_of(self._found[1])

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        return nullcontext(self._run(observe, wide=False))

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """See `Source.wide_runner`: the graph, widened."""
        return nullcontext(self._run(observe, wide=True))

    def perturbed_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """See `Source.perturbed_runner`: the graph, perturbed."""
        return nullcontext(self._run(observe, noise=noise))

    def _run(
        self, observe: Observer | None, wide: bool = False, noise: Noise | None = None
    ) -> ProgramRunner:
        program, calls = self._found
        tally = None if observe is None else partial(Tally, calls, observe)
        return ProgramRunner(program, tally, wide, noise)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""
        return activation_of(self._found[1], layer)

    def lookups(self, feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """See `Source.lookups`."""
        return find_lookups(self._traced, feeds)

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: gradient descent on the inputs."""
        program, calls = self._found
        pull = gradients_in(program, calls)
        return seek(layers_of(calls), self.runner, pull, targets, start, limits)

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`."""
        program, calls = self._found
        return convert_program(program, calls, wanted, self._options.show_chatter, ())
