"""What a Keras model takes and returns, by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.keras.sizes import any_size, fixed_ones, freed, with_sizes
from prelu_tools.backends.protocol.failures import from_other, from_user
from prelu_tools.backends.protocol.freeing import freed_inputs, taken_from
from prelu_tools.backends.protocol.inputs import TensorSpec, one_size_a_name, stated_spec
from prelu_tools.backends.protocol.outputs import distinct_outputs
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption, SourceOptions

_GENERATED = re.compile(r"^(keras_tensor|input_layer)(_\d+)?$")


class Structure:
    """The inputs and outputs of a `keras.Model`."""

    def __init__(
        self,
        model: Any,
        label: str,
        options: SourceOptions,
        plainly: Callable[[Any], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take a model, and what the user said of its inputs; nothing is run.

        Args:
            model: the model.
            label: what to call it.
            options: how to read it.
            plainly: within what the model is called.
        """
        self._model = model
        self._plainly = plainly
        self._label = label
        self._given = options.inputs
        self._other = options.other
        self._is_verbose = options.show_chatter
        self.notes: tuple[str, ...] = ()
        self.origin = from_user(options.inputs) if options.inputs else ""
        """Where the sizes are from, if not from the model, and what to do if it rejects them."""
        self._is_keyed: bool | None = None  # None if no call has shown it
        self._unnamed: frozenset[str] = frozenset()  # of the outputs
        self._specs: list[TensorSpec] | None = None
        self._takes_any_size = False  # whether the user wants others than the model states

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from the model, otherwise `--input`, otherwise the other model."""
        if self._specs is None:
            self._specs = one_size_a_name(self._find_inputs())
            if _model_inputs(self._model) is None and not self._given:
                self._free_sizes(self._specs)
        return self._specs

    def _free_sizes(self, specs: list[TensorSpec]) -> None:
        """Free the sizes that a subclassed model was built for, where it takes others too."""
        is_stated = any(isinstance(size, int) for spec in specs for size in spec.shape[1:])
        other = None
        with suppress(PReLUToolsError):  # none of the others can be read
            other = self._other() if is_stated and self._other is not None else None
        found = other and freed_inputs(specs, other, self._label, self._takes)
        if found:
            self._specs, self.notes = one_size_a_name(found.specs), (found.note,)

    def _takes(self, feeds: Mapping[str, Array]) -> bool:
        try:
            self._run(feeds)
        except Exception:  # any error means that it does not accept them
            return False
        return True

    def _run(self, feeds: Mapping[str, Array]) -> list[Any]:
        """The outputs in order."""
        flat = [keras.ops.convert_to_tensor(x) for x in feeds.values()]
        with quiet(self._is_verbose):
            return [*keras.tree.flatten(self.call(self._model, flat))]

    def _find_inputs(self) -> list[TensorSpec]:
        if (known := _model_inputs(self._model)) is not None:
            return self._with_given([_spec(name, tensor) for name, tensor in known.items()])
        found, is_assumed = self._given or _built_for(self._model), not self._given
        if not found and self._other is not None and (other := self._other()) is not None:
            found, self.notes = other.inputs, (taken_from(other),)
            self.origin = from_other(other)
        if not found:
            raise UsageError(
                f"the input shapes of {self._label} are not known. Give them as --input "
                "NAME:batch,..., for example --input x:batch,112,112,3 (a name such as batch makes "
                "that size dynamic)"
            )
        specs = (stated_spec(i.name, i.dtype, i.shape, None) for i in found)
        return [replace(spec, is_assumed=is_assumed) for spec in specs]

    def _with_given(self, specs: list[TensorSpec]) -> list[TensorSpec]:
        """The model's own inputs, with the sizes that the user gave."""
        given = {option.name: option.shape for option in self._given}
        found = with_sizes(specs, given, self._label)
        if fixed_ones(specs, found):
            self._takes_any_size, self._specs = True, specs  # what a run of it asks for
            self.notes = (freed(specs, found, self._label, self._run),)
        return found

    def zeros(self) -> dict[str, Array]:
        """Inputs of zeros, two rows where the batch is dynamic."""
        rows = {s.shape[0] for s in self.inputs() if s.shape and isinstance(s.shape[0], str)}
        return {
            spec.name: np.zeros(
                [
                    2 if dim in rows else size
                    for dim, size in zip(spec.shape, spec.example, strict=True)
                ],
                np.dtype(spec.dtype),
            )
            for spec in self.inputs()
        }

    def call(self, model: Any, flat: Sequence[Any]) -> Any:
        """A model's outputs for its inputs in order, in the structure that it takes.

        A subclassed model that was never built does not say whether it takes a list or a
        dictionary: the first call shows it.
        """
        with self._plainly(self._model), any_size(model) if self._takes_any_size else nullcontext():
            return self._call(model, flat)

    def _call(self, model: Any, flat: Sequence[Any]) -> Any:
        is_open = self._is_keyed is None and len(flat) > 1 and _built_shape(model) is None
        try:
            return model(*self._packed(flat), training=False)
        except TypeError:
            if not is_open:
                raise
            self._is_keyed = True
            try:
                return model(*self._packed(flat), training=False)
            except Exception:
                self._is_keyed = False
            raise

    def _packed(self, flat: Sequence[Any]) -> tuple[Any, ...]:
        structure = getattr(self._model, "_inputs_struct", None)
        if structure is not None:
            return (keras.tree.pack_sequence_as(structure, list(flat)),)
        names = [spec.name for spec in self.inputs()]
        if self._is_keyed or isinstance(_built_shape(self._model), Mapping):
            return (dict(zip(names, flat, strict=True)),)
        if len(flat) == 1 or len(flat) == _n_required(self._model):
            return tuple(flat)
        return (list(flat),)

    def named_outputs(self, outputs: Any) -> dict[str, Any]:
        """Outputs by name: their keys, the names of output layers, or `output_0`...

        Keys and positions of nested outputs follow each other: `boxes.xy`, `levels.0`.
        """
        inputs = [spec.name for spec in self.inputs()]
        found = {name: (value, is_own) for name, is_own, value in _by_keys("", outputs)}
        names, own = list(found), [name for name, (_, is_own) in found.items() if is_own]
        if not _has_keys(outputs):
            names = own = getattr(self._model, "output_names", None) or []
            if len(set(names)) != len(found):
                count, own = len(found), []
                names = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
        values = (value for value, _ in found.values())
        named = distinct_outputs(dict(zip(names, values, strict=True)), inputs)
        self._unnamed = frozenset(named) - frozenset(own)
        return named

    @property
    def unnamed(self) -> frozenset[str]:
        """See `Source.unnamed`: what no key, layer or argument of the model is called."""
        return self._unnamed | self._unnamed_inputs()

    def _unnamed_inputs(self) -> frozenset[str]:
        names = frozenset(spec.name for spec in self.inputs())
        if (known := _model_inputs(self._model)) is not None:
            return names - {tensor.name for tensor in known.values()}
        if self._is_keyed or isinstance(_built_shape(self._model), Mapping):
            return frozenset()
        return names - set(inspect.signature(type(self._model).call).parameters)


def _has_keys(outputs: Any) -> bool:
    if isinstance(outputs, list | tuple):
        return any(map(_has_keys, outputs))
    return isinstance(outputs, Mapping)


def _by_keys(prefix: str, outputs: Any, is_own: bool = True) -> Iterator[tuple[str, bool, Any]]:
    """The tensors that outputs are nested in.

    Each with the keys and positions that lead to it, and whether all of these are keys.
    """
    if isinstance(outputs, Mapping):
        parts = [(str(key), value) for key, value in outputs.items()]
    elif isinstance(outputs, list | tuple):
        parts = [(str(place), value) for place, value in enumerate(outputs)]
    else:
        if outputs is not None:
            yield prefix.lstrip("."), is_own, outputs
        return
    for key, value in parts:
        yield from _by_keys(f"{prefix}.{key}", value, is_own and isinstance(outputs, Mapping))


def _model_inputs(model: Any) -> dict[str, Any] | None:
    """The symbolic inputs by name, with generated names made plain; None if there are none."""
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


def _n_required(model: Any) -> int:
    """The number of required arguments of a model's `call`."""
    parameters = inspect.signature(type(model).call).parameters.values()
    given = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    return len(given) - 1  # self


def _built_for(model: Any) -> tuple[InputOption, ...]:
    """The inputs of a subclassed model, with the batch free; none where they are not known."""
    built = _built_shape(model)
    if not isinstance(built, Mapping):
        parameters = list(inspect.signature(type(model).call).parameters)
        built = {parameters[1]: built} if built and len(parameters) > 1 else {}
    shapes = {str(name): tuple(shape or ()) for name, shape in built.items()}
    if not all(shape and all(isinstance(s, int) for s in shape[1:]) for shape in shapes.values()):
        return ()
    return tuple(InputOption(name, ("batch", *shape[1:])) for name, shape in shapes.items())


def _spec(name: str, tensor: Any) -> TensorSpec:
    sizes = [None if size is None else int(size) for size in tensor.shape]
    return stated_spec(name, str(tensor.dtype), sizes, None)
