"""A Keras model as a source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.backends.calls import (
    PReLUCall,
    Tally,
    activation_of,
    layers_of,
    parameters_of,
)
from prelu_tools.backends.conversion import Conversion
from prelu_tools.backends.interface import (
    Observer,
    Runner,
    SearchLimits,
    TensorSpec,
    WideRunner,
)
from prelu_tools.backends.keras.convert import convert_program
from prelu_tools.backends.keras.finding import find_inside
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.program import Program
from prelu_tools.backends.keras.running import other_precisions, plainly
from prelu_tools.backends.keras.search import gradients_in, gradients_of
from prelu_tools.backends.keras.tracing import trace_model
from prelu_tools.backends.keras.watch import CallFinder, owners, slope_name, watching
from prelu_tools.backends.keras.wide import ProgramRunner
from prelu_tools.backends.outputs import distinct_outputs
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.seeking import seek
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import ConversionOptions, Dim, SourceOptions
from prelu_tools.core.slopes import PReLULayer

_GENERATED = re.compile(r"^(keras_tensor|input_layer)(_\d+)?$")
_EXAMPLE = 48  # size of a free dimension other than the batch


class KerasSource:
    """A `keras.Model`, run with training=False."""

    framework = "keras"

    def __init__(self, model: Any, spelled: str, options: SourceOptions) -> None:
        """Take a model; nothing is run yet."""
        self.spelled = spelled
        self.producer = f"keras {keras.__version__}, tensorflow {tf.__version__}"
        self._model = model
        self._options = options
        self._specs: list[TensorSpec] | None = None
        self._calls: list[PReLUCall] | None = None
        self._program: Program | None = None
        self._inside = False  # whether a layer with other variables holds a PReLU

    @property
    def n_parameters(self) -> int:
        """Elements of all weights; running a model builds the ones it lacks."""
        self._find_calls()
        return int(sum(int(np.prod(weight.shape)) for weight in self._model.weights))

    def load_weights(self, path: Path) -> None:
        """Load a `.weights.h5` file into the model.

        Raises:
            PReLUToolsError: it cannot be read, or does not fit.
        """
        if not path.exists():
            raise PReLUToolsError(f"{path} cannot be read: no such file")
        self._find_calls()
        try:
            self._model.load_weights(path)
        except Exception as error:
            raise PReLUToolsError(
                f"the weights in {path} do not fit {self.spelled} "
                f"({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        self._calls = self._program = None

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from the model itself, else from `--input`."""
        if self._specs is None:
            known = _model_inputs(self._model)
            if known is not None:
                self._specs = [_spec(name, tensor) for name, tensor in known.items()]
            elif self._options.inputs:
                self._specs = [
                    TensorSpec(o.name, "float32", o.shape, _sizes(o.shape))
                    for o in self._options.inputs
                ]
            elif (built := _built_for(self._model)) is not None:
                self._specs = [
                    TensorSpec(name, "float32", shape, _sizes(shape))
                    for name, shape in built.items()
                ]
            else:
                raise UsageError(
                    f"the input shapes of {self.spelled} are not known: give --input "
                    "NAME:batch,... (for an image --input x:batch,112,112,3)"
                )
        return self._specs

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return layers_of(self._find_calls())

    def _find_calls(self) -> list[PReLUCall]:
        if self._calls is None:
            feeds = {
                spec.name: np.zeros((2, *spec.example[1:]), np.dtype(spec.dtype))
                for spec in self.inputs()
            }
            self._call(feeds)  # builds what is not built yet
            finder = CallFinder(self._model)
            with watching(self._model, None, finder):
                self._call(feeds)
            self._calls = finder.calls
            self._look_inside()
        return self._calls

    def _look_inside(self) -> None:
        """Find the PReLU of layers that have other variables too, in the order of all calls."""
        calls = self._calls or []
        known = {call.parameter for call in calls}
        found = owners(self._model).values()
        foreign = {owner.parameter for owner in found if owner.foreign} - known
        if not foreign:
            return
        program = self._trace()
        candidates = [weight for weight in program.weights if weight.name in foreign]
        inside = find_inside(program, candidates, self._options.show_chatter)
        if not inside:
            return
        pairs = [*zip(calls, program.taps, strict=True), *((f.call, f.tap) for f in inside)]
        places = {name: place for place, name in enumerate(program.nodes)}
        pairs.sort(key=lambda pair: places[program.origin(pair[1].y).partition(":")[0]])
        self._calls = [call for call, _ in pairs]
        self._program = replace(program, taps=tuple(tap for _, tap in pairs))
        self._inside = True

    def _trace(self) -> Program:
        if self._program is None:
            slopes = [call.parameter for call in self._calls or ()]
            self._program = trace_model(
                self._model, self.inputs(), self.call_flat, slopes, self._options.show_chatter
            )
        return self._program

    def _call(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        flat = [tf.constant(feeds[spec.name]) for spec in self.inputs()]
        try:
            with quiet(self._options.show_chatter):
                return self.call_flat(flat)
        except Exception as error:
            shapes = ", ".join(f"{name}{list(array.shape)}" for name, array in feeds.items())
            raise PReLUToolsError(
                f"{self.spelled} fails on inputs {shapes} with {type(error).__name__}: {error}"
            ) from error

    def packed(self, flat: Sequence[Any]) -> Any:
        """Inputs in the structure that the model takes."""
        structure = getattr(self._model, "_inputs_struct", None)
        if structure is None:
            names = [spec.name for spec in self.inputs()]
            if isinstance(_built_shape(self._model), Mapping):
                return dict(zip(names, flat, strict=True))
            return flat[0] if len(flat) == 1 else list(flat)
        return keras.tree.pack_sequence_as(structure, list(flat))

    def named_outputs(self, outputs: Any) -> dict[str, Any]:
        """Outputs by name: the keys of a dict, the names of output layers, or `output_0`..."""
        inputs = [spec.name for spec in self.inputs()]
        if isinstance(outputs, Mapping):
            named = {str(key): value for key, value in outputs.items()}
            return distinct_outputs(named, inputs)
        flat = keras.tree.flatten(outputs)
        names = getattr(self._model, "output_names", None) or []
        if len(set(names)) != len(flat):
            names = ["output"] if len(flat) == 1 else [f"output_{i}" for i in range(len(flat))]
        return distinct_outputs(dict(zip(names, flat, strict=True)), inputs)

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        calls = self._find_calls()
        if observe is not None and self._inside:
            return nullcontext(ProgramRunner(self._trace(), partial(Tally, calls, observe)))
        return nullcontext(_KerasRunner(self, observe))

    def run_observed(self, feeds: Mapping[str, Array], observe: Observer) -> dict[str, Array]:
        """Run the model once, and tell an observer of its calls."""
        tally = Tally(self._find_calls(), observe)

        def after(layer: Any, x: Any, y: Any) -> None:
            name = slope_name(self._model, layer)
            if name is not None and tally.knows(name):
                tally(name, np.asarray(x), np.asarray(y))

        with watching(self._model, None, after):
            return self.run(feeds)

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """See `Source.wide_runner`: the trace of the model, widened."""
        calls = self._find_calls()
        tally = None if observe is None else partial(Tally, calls, observe)
        return nullcontext(ProgramRunner(self._trace(), tally, wide=True))

    def call_flat(self, flat: Sequence[Any]) -> dict[str, Any]:
        """Run the model on its inputs in order, and name its outputs."""
        with plainly(self._model):
            return self.named_outputs(self._model(self.packed(flat), training=False))

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
        """See `ConvertibleSource.convert`."""
        parameters = parameters_of(self._find_calls())
        show = self._options.show_chatter
        return convert_program(self._trace(), parameters, wanted, show, self._notes())

    def _notes(self) -> list[str]:
        policies = other_precisions(self._model)
        if not policies:
            return []
        said = f"the model was made in {' and '.join(policies)}"
        rounded = "rounded to it" if "float64" in policies else "which holds their values"
        return [f"{said}: it is run and exported in float32, with its weights {rounded}"]


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


def _model_inputs(model: Any) -> dict[str, Any] | None:
    """The symbolic inputs by name, with generated names made plain; None where there are none."""
    try:
        tensors = model.inputs
    except AttributeError:
        return None
    if not tensors:
        return None
    names = [tensor.name for tensor in tensors]
    if any(_GENERATED.match(name) for name in names) or len(set(names)) != len(names):
        names = ["input"] if len(names) == 1 else [f"input_{i}" for i in range(len(names))]
    return dict(zip(names, tensors, strict=True))


def _built_shape(model: Any) -> Any:
    """What a subclassed model was built for, or remembers from its file; None for nothing."""
    shapes = model._build_shapes_dict or {}
    return next(iter(shapes.values())) if len(shapes) == 1 else None


def _built_for(model: Any) -> dict[str, tuple[Dim, ...]] | None:
    """The inputs of a subclassed model by name, with the batch free; None where not known."""
    built = _built_shape(model)
    if not isinstance(built, Mapping):
        parameters = list(inspect.signature(type(model).call).parameters)
        built = {parameters[1]: built} if built and len(parameters) > 1 else {}
    shapes = {str(name): tuple(shape or ()) for name, shape in built.items()}
    if not all(shape and all(isinstance(s, int) for s in shape[1:]) for shape in shapes.values()):
        return None
    return {name: ("batch", *shape[1:]) for name, shape in shapes.items()} or None


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape: list[Dim] = [
        int(size) if size is not None else ("batch" if axis == 0 else f"{name}_dim_{axis}")
        for axis, size in enumerate(tensor.shape)
    ]
    return TensorSpec(name, str(tensor.dtype), tuple(shape), _sizes(shape))


def _sizes(shape: Sequence[Dim]) -> tuple[int, ...]:
    return tuple(
        size if isinstance(size, int) else (1 if axis == 0 else _EXAMPLE)
        for axis, size in enumerate(shape)
    )
