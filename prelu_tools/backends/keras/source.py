"""A Keras model as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.backends.keras.conversion.convert import convert_program
from prelu_tools.backends.keras.files.loading import load_weights
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.graphs.finding import find_inside
from prelu_tools.backends.keras.graphs.marks import with_marks
from prelu_tools.backends.keras.graphs.program import Program
from prelu_tools.backends.keras.graphs.tracing import trace_model
from prelu_tools.backends.keras.layers import has_kinks, holds_numbers, owners, walk, watching
from prelu_tools.backends.keras.precision import note_precisions
from prelu_tools.backends.keras.running.eagerly import eagerly, plainly
from prelu_tools.backends.keras.running.lookups import find_lookups
from prelu_tools.backends.keras.running.reading import reading
from prelu_tools.backends.keras.running.search import gradients_in, gradients_of
from prelu_tools.backends.keras.running.watch import CallFinder, slope_name
from prelu_tools.backends.keras.running.wide import ProgramRunner
from prelu_tools.backends.keras.structure import Structure
from prelu_tools.backends.probing.deciding import Decisions
from prelu_tools.backends.probing.reading import Readings
from prelu_tools.backends.probing.seeking import seek
from prelu_tools.backends.protocol.calls import (
    PReLUCall,
    Tally,
    activation_of,
    layers_of,
    not_called,
)
from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.failures import failed_on, sizes_from
from prelu_tools.backends.protocol.inputs import Lookup, SearchLimits, TensorSpec
from prelu_tools.backends.protocol.interface import Conversion
from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import ConversionOptions, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.verification.decisions import Decision
from prelu_tools.core.rounding.noise import Noise


class KerasSource(SourceDefaults):
    """A `keras.Model`, run with training=False."""

    framework = "keras"
    frees_sizes = True
    weights_suffix = ".weights.h5"

    def __init__(self, model: Any, label: str, options: SourceOptions) -> None:
        """Take a model; nothing is run yet."""
        self.label = label
        self.producer = f"keras {keras.__version__}, tensorflow {tf.__version__}"
        self._model = model
        self._options = options
        self._structure = Structure(model, label, options, plainly)
        self._calls: list[PReLUCall] | None = None
        self._program: Program | None = None
        self._uncalled: list[str] = []
        self._decisions = Decisions(self._read)
        self._inside = False  # whether the graph alone shows a call to watch

    @property
    def n_parameters(self) -> int:
        """Elements of all weights; running a model builds the ones it lacks."""
        self._find_calls()
        return int(sum(int(np.prod(weight.shape)) for weight in self._model.weights))

    def load_weights(self, path: Path) -> None:
        """See `loading.load_weights`."""
        self._find_calls()
        load_weights(self._model, path, self.label)
        self._calls = self._program = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of its layers."""
        return (
            *self._structure.notes,
            *(not_called(path) for path in dict.fromkeys(self._uncalled)),
        )

    @property
    def unnamed(self) -> frozenset[str]:
        """See `Source.unnamed`."""
        self._find_calls()
        return self._structure.unnamed

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`."""
        return self._structure.inputs()

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        calls = self._find_calls()
        starts = {owner.parameter: owner.start for owner in owners(self._model).values()}
        return layers_of(calls, starts)

    def calls(self) -> Sequence[PReLUCall]:
        """The calls of its PReLU layers, in their order."""
        return self._find_calls()

    def decisions(self, runs: Sequence[Mapping[str, Array]]) -> tuple[Decision, ...]:
        """See `Source.decisions`: what its layers decide by numbers, run eagerly."""
        return self._decisions.of(runs)

    def _read(self, feeds: Mapping[str, Array], readings: Readings) -> dict[str, Array]:
        """Run the model, and report what its layers read."""
        flat = [tf.constant(feeds[spec.name]) for spec in self.inputs()]
        try:
            with eagerly(), reading(readings, flat):
                found = self.call_flat(flat)
        except Exception as error:
            raise failed_on(self.label, feeds, error) from error
        return {name: np.asarray(value) for name, value in found.items()}

    def lookups(self, feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """See `Source.lookups`: of its trace."""
        self._find_calls()
        return find_lookups(self._trace(), feeds)

    def _find_calls(self) -> list[PReLUCall]:
        if self._calls is None:
            feeds = self._structure.zeros()
            parts = (self._model, *(layer for _, layer in walk(self._model)))
            with sizes_from(self._structure.origin):
                if not all(layer.built for layer in parts):
                    self._call(feeds)  # builds the rest, and may create layers to watch
                finder = CallFinder(self._model)
                called: set[int] = set()
                with eagerly(), watching(self._model, lambda x: called.add(id(x)), finder):
                    self._call(feeds)
            self._calls = finder.calls
            self._look_into_graph(finder)
            self._uncalled = self._not_called(called)
        return self._calls

    def _not_called(self, called: set[int]) -> list[str]:
        """The paths of PReLU layers that neither a run nor the graph has shown."""
        used = {call.parameter for call in self._calls or ()}
        owned = owners(self._model)
        return [
            path
            for path, layer in walk(self._model)
            if isinstance(layer, keras.layers.PReLU)
            and id(layer) not in called
            and not any(owned[id(weight)].parameter in used for weight in layer.weights)
        ]

    def _look_into_graph(self, finder: CallFinder) -> None:
        """Find what running the model once does not show, where it may not show all.

        Such as a branch that was not taken, a loop that calls a layer many times, and layers that
        hold a PReLU besides other variables. The graph has each call once.
        """
        known = {call.parameter for call in finder.calls}
        missed = finder.missed()
        found = owners(self._model).values()
        foreign = {owner.parameter for owner in found if owner.foreign} - known - set(missed)
        is_known = len(known) == len(finder.calls) and not missed and not foreign
        layers = [layer for _, layer in walk(self._model)]
        hides = any(map(holds_numbers, layers)) or any(map(has_kinks, (self._model, *layers)))
        if is_known and not hides:
            return
        program = self._trace([*known, *missed])
        for tap in program.taps:
            if tap.parameter in missed and tap.shape:
                finder.ask(missed.pop(tap.parameter), (None, *tap.shape[1:]))
        known = {call.parameter for call in finder.calls}
        program = replace(program, taps=tuple(t for t in program.taps if t.parameter in known))
        inside = find_inside(program, [w for w in program.weights if w.name in foreign])
        self._program = with_marks(program, [item.tap for item in inside])
        self._calls = _in_order(self._program, [*finder.calls, *(item.call for item in inside)])
        self._inside = any(not item.tap.function for item in inside)

    def _trace(self, slopes: Sequence[str] = ()) -> Program:
        if self._program is None:
            names = [*slopes, *(call.parameter for call in self._calls or ())]
            self._program = trace_model(
                self._model, self.inputs(), self.call_flat, names, self._options.show_chatter
            )
        return self._program

    def _call(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        flat = [tf.constant(feeds[spec.name]) for spec in self.inputs()]
        try:
            with quiet(self._options.show_chatter):
                return self.call_flat(flat)
        except Exception as error:
            raise failed_on(self.label, feeds, error) from error

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        calls = self._find_calls()
        if observe is not None and self._inside:
            return nullcontext(ProgramRunner(self._trace(), partial(Tally, calls, observe)))
        return nullcontext(_KerasRunner(self, observe))

    def run_observed(self, feeds: Mapping[str, Array], observe: Observer) -> dict[str, Array]:
        """Run the model once, and report its calls to an observer."""
        tally = Tally(self._find_calls(), observe)

        def after(layer: Any, x: Any, y: Any) -> None:
            name = slope_name(self._model, layer)
            if name is not None and tally.knows(name):
                tally(name, np.asarray(x), np.asarray(y))

        with eagerly(), watching(self._model, None, after):
            return self.run(feeds)

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """See `Source.wide_runner`: the trace of the model, widened."""
        calls = self._find_calls()
        tally = None if observe is None else partial(Tally, calls, observe)
        return nullcontext(ProgramRunner(self._trace(), tally, wide=True))

    def perturbed_runner(
        self, noise: Noise, observe: Observer | None = None
    ) -> AbstractContextManager[Runner]:
        """See `Source.perturbed_runner`: the trace of the model, perturbed."""
        calls = self._find_calls()
        tally = None if observe is None else partial(Tally, calls, observe)
        return nullcontext(ProgramRunner(self._trace(), tally, noise=noise))

    def call_flat(self, flat: Sequence[Any]) -> dict[str, Any]:
        """Run the model on its inputs in order, and name its outputs."""
        return self._structure.named_outputs(self._structure.call(self._model, flat))

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""
        return activation_of(self._find_calls(), layer)

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: gradient descent on the inputs."""
        calls = self._find_calls()
        if self._inside:
            pull = gradients_in(self._trace(), calls)
        else:
            pull = gradients_of(self._model, self.inputs(), self.call_flat, calls)
        return seek(layers_of(calls), self.runner, pull, targets, start, limits)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once."""
        return {name: np.asarray(value) for name, value in self._call(feeds).items()}

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`."""
        calls, show = self._find_calls(), self._options.show_chatter
        program = self._trace()
        self._calls = _in_order(program, calls)  # an untaken branch may call one again
        notes = [*note_precisions(self._model), *self.notes]
        return convert_program(program, self._calls, wanted, show, notes)


class _KerasRunner:
    """Runs the model."""

    def __init__(self, source: KerasSource, observe: Observer | None) -> None:
        self._source = source
        self._observe = observe

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        if self._observe is None:
            return self._source.run(feeds)
        return self._source.run_observed(feeds, self._observe)


def _in_order(program: Program, calls: Sequence[PReLUCall]) -> list[PReLUCall]:
    """What is known of the call at each tap: of several of one parameter, in their order."""
    waiting: dict[str, list[PReLUCall]] = {}
    for call in calls:
        waiting.setdefault(call.parameter, []).append(call)
    found = []
    for tap in program.taps:
        left = waiting[tap.parameter]
        found.append(left.pop(0) if len(left) > 1 else left[0])
    return found
