"""A Keras model as a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.search import gradients_of
from prelu_tools.backends.keras.trace import convert_model
from prelu_tools.backends.keras.watch import CallFinder, slope_name, slope_variables, watching
from prelu_tools.backends.keras.wide import WideKerasRunner
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
        self._outputs: list[str] = []

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
        self._calls = None

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
                self._outputs = list(self._call(feeds))
            self._calls = finder.calls
        return self._calls

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
        return nullcontext(WideKerasRunner(self._model, self.inputs(), self.call_flat, tally))

    def call_flat(self, flat: Sequence[Any]) -> dict[str, Any]:
        """Run the model on its inputs in order, and name its outputs."""
        return self.named_outputs(self._model(self.packed(flat), training=False))

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""
        return activation_of(self._find_calls(), layer)

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: gradient descent on the inputs."""
        calls = self._find_calls()
        pull = gradients_of(self._model, self.inputs(), self.call_flat, calls)
        return seek(layers_of(calls), self.runner, pull, targets, start, limits)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once."""
        return {name: np.asarray(value) for name, value in self._call(feeds).items()}

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `ConvertibleSource.convert`."""
        calls = self._find_calls()
        return convert_model(
            model=self._model,
            specs=self.inputs(),
            call=self.call_flat,
            slopes=slope_variables(self._model, calls),
            parameters=parameters_of(calls),
            opset=wanted.opset,
            options=self._options,
        )


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
