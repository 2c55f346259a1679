"""A Keras model as a source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.backends.calls import PReLUCall, layers_of, note_reach, parameters_of
from prelu_tools.backends.conversion import Conversion
from prelu_tools.backends.interface import Reach, Runner, TensorSpec
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.trace import convert_model
from prelu_tools.backends.keras.watch import CallFinder, layer_names, slope_variables, watching
from prelu_tools.backends.outputs import distinct_outputs
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, SourceOptions
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
                return self.named_outputs(self._model(self.packed(flat), training=False))
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

    def runner(self, reach: Reach) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        return self._running(reach)

    @contextmanager
    def _running(self, reach: Reach) -> Iterator[Runner]:
        calls = self._find_calls()
        names = layer_names(self._model)
        names.setdefault(id(self._model), self._model.name)

        def after(layer: Any, x: Any, _y: Any) -> None:
            if len(layer.weights) == 1:
                name = f"{names[id(layer)]}/{layer.weights[0].name}"
                note_reach(reach, calls, name, np.asarray(x))

        with watching(self._model, None, after):
            yield _KerasRunner(self)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once."""
        return {name: np.asarray(value) for name, value in self._call(feeds).items()}

    def convert(self, opset: int) -> Conversion:
        """See `ConvertibleSource.convert`."""
        calls = self._find_calls()
        return convert_model(
            model=self._model,
            specs=self.inputs(),
            call=lambda flat: self.named_outputs(self._model(self.packed(flat), training=False)),
            slopes=slope_variables(self._model, calls),
            parameters=parameters_of(calls),
            opset=opset,
            options=self._options,
        )


class _KerasRunner:
    """Runs the model."""

    def __init__(self, source: KerasSource) -> None:
        self._source = source

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        return self._source.run(feeds)


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
