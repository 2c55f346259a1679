"""A Keras model while it is trained.

Its layers are found as `inspect` finds them: the model is run once, on zeros, before it is trained.
Their slopes are read from its variables. Keras does not expose its gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prelu_tools.backends.keras.layers import owners, walk, watching
from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.protocol.calls import PReLUCall, slope_sources, slopes_with
from prelu_tools.backends.protocol.living import LayerState
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer

_FOUND_BY_RUNNING = ("tensorflow", "torch")


class LiveKerasModel:
    """See `LiveModel`."""

    shows_gradients = False

    def __init__(self, model: Any, optimizer: Any = None, sample: Any = None) -> None:
        """Find the layers.

        Args:
            model: the model, built.
            optimizer: what trains it; None for none.
            sample: inputs as the model is called with, for `negatives`; None for none.
        """
        self._model = model
        self._optimizer = _innermost(optimizer)
        self._sample = sample
        self._calls: dict[str, PReLUCall] = {}
        self.notes: tuple[str, ...] = ()
        self._variables = {own: v for v, own in _names(model)}
        try:
            self.layers = self._found()
        except PReLUToolsError as error:
            self.layers = self._by_class()
            self.notes = (f"only layers of the class PReLU were looked for: {error}",)
        self._sources = [self._sources_of(str(layer.parameter)) for layer in self.layers]

    @property
    def variables(self) -> list[Any]:
        """What all slopes come from, each once."""
        found = {id(v): v for names in self._sources for v in map(self._variables.get, names)}
        return [variable for variable in found.values() if variable is not None]

    def look(self) -> list[LayerState]:
        """See `LiveModel.look`."""
        trained = {id(variable) for variable in self._model.trainable_variables}
        return [
            self._state(layer, names, trained)
            for layer, names in zip(self.layers, self._sources, strict=True)
        ]

    def negatives(self) -> Mapping[str, Array] | None:
        """See `LiveModel.negatives`."""
        if self._sample is None or keras.backend.backend() != "tensorflow":
            return None
        from prelu_tools.backends.keras.running.eagerly import eagerly
        from prelu_tools.backends.keras.running.watch import slope_name

        known = {layer.parameter: layer.name for layer in self.layers}
        book, met = CoverageBook(self.layers), set()

        def after(layer: Any, x: Any, _y: Any) -> None:
            name = known.get(slope_name(self._model, layer))
            if name is not None:
                met.add(name)
                book.note(name, np.asarray(x, np.float32))

        try:
            with keras.StatelessScope(), eagerly(), watching(self._model, None, after):
                self._model(self._sample, training=True)
        except Exception:  # a diagnosis must not stop the training run
            return None
        return {name: book.counts(name) for name in met}

    def _found(self) -> tuple[PReLULayer, ...]:
        if keras.backend.backend() not in _FOUND_BY_RUNNING:
            raise PReLUToolsError(f"Keras runs on {keras.backend.backend()}")
        from prelu_tools.backends.keras import from_object

        name = type(self._model).__name__
        found: Any = from_object(self._model, name, None, SourceOptions())
        self._calls = {call.parameter: call for call in reversed(found.calls())}
        if keras.backend.backend() == "torch":  # its names have no dots
            self._variables = {own: self._by_id(key) for key, own in found.variable_names.items()}
        layers: tuple[PReLULayer, ...] = found.layers()
        return layers

    def _by_id(self, key: int) -> Any:
        return next(variable for variable in self._model.weights if id(variable) == key)

    def _by_class(self) -> tuple[PReLULayer, ...]:
        kinds = [layer for _, layer in walk(self._model) if isinstance(layer, keras.layers.PReLU)]
        names = {id(variable): own for variable, own in _names(self._model)}
        built = [layer for layer in dict.fromkeys(kinds) if layer.built]
        return tuple(_plain(layer, names[id(layer.alpha)]) for layer in built)

    def _sources_of(self, parameter: str) -> tuple[str, ...]:
        call = self._calls.get(parameter)
        if call is None:
            return (parameter,)
        held = {name: self._variables[name] for name in call.sources if name in self._variables}
        return slope_sources(call, {name: _values(variable) for name, variable in held.items()})

    def _state(self, layer: PReLULayer, names: tuple[str, ...], trained: set[int]) -> LayerState:
        held = {name: self._variables[name] for name in names if name in self._variables}
        current = {name: _values(variable) for name, variable in held.items()}
        call = self._calls.get(str(layer.parameter))
        slopes = current[names[0]] if call is None else slopes_with(call, current)
        is_trained = any(id(variable) in trained for variable in held.values())
        return LayerState(
            slopes=slopes.reshape(-1),
            is_trained=is_trained,
            is_updated=is_trained if self._optimizer is not None else None,
            weight_decay=max((self._decay(v) for v in held.values()), default=0.0),
            gradient=None,
        )

    def _decay(self, variable: Any) -> float:
        """The weight decay of a variable by the optimizer and by its layer's regularizer."""
        decay = 0.0
        optimizer = self._optimizer
        if optimizer is not None and optimizer.weight_decay:
            is_decayed = optimizer._use_weight_decay(variable)
            decay = float(optimizer.weight_decay) if is_decayed else 0.0
        penalty = getattr(variable, "regularizer", None)
        return decay + 2.0 * float(getattr(penalty, "l2", 0.0) or 0.0)


def is_built(model: Any, sample: Any) -> bool:
    """Whether all variables of a model exist; with a sample, it is called to make them."""
    if sample is not None and not model.built:
        model(sample, training=False)
    return bool(model.built) and all(layer.built for _, layer in walk(model))


def exclude_slopes(optimizer: Any, model: Any) -> tuple[str, ...]:
    """See `prelu_tools.training.exclude_slopes_from_weight_decay`."""
    inner = _innermost(optimizer)
    if inner is None or not hasattr(inner, "exclude_from_weight_decay"):
        raise UsageError(f"expected a Keras optimizer, got a {type(optimizer).__name__}")
    if inner.built:
        raise UsageError(
            f"{type(inner).__name__} has already been used, and Keras accepts no exclusions after "
            "that: call exclude_slopes_from_weight_decay before fit(), on a new optimizer"
        )
    if not model.built:
        raise UsageError(f"{model.name} has no variables yet: call it once, or build() it, first")
    slopes = LiveKerasModel(model).variables
    if not slopes:
        raise UsageError(f"{model.name} has no PReLU layers: nothing to exclude")
    kept = getattr(inner, "_exclude_from_weight_decay_pattern", None)
    before = set(getattr(inner, "_exclude_from_weight_decay", ()))
    known = [v for v in model.trainable_variables if inner._var_key(v) in before]
    names = None if kept is None else [kept.pattern]
    inner.exclude_from_weight_decay(var_list=[*known, *slopes], var_names=names)
    return tuple(variable.path for variable in slopes)


def _innermost(optimizer: Any) -> Any:
    """The optimizer inside those that scale a loss."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _names(model: Any) -> list[tuple[Any, str]]:
    owned = owners(model)
    return [(v, owned[id(v)].parameter) for v in model.weights if id(v) in owned]


def _values(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def _plain(layer: Any, parameter: str) -> PReLULayer:
    """A layer of Keras' own class, as far as it says what it is."""
    values = _values(layer.alpha)
    return PReLULayer(
        name=layer.name,
        nodes=(layer.name,),
        parameter=parameter,
        form=type(layer).__name__,
        slopes=frozen(values[None]),
        input_shape=(None, *(None if size == 1 else size for size in values.shape)),
        stored_shape=tuple(values.shape),
        preceding_parameters=None,
        same_instance=True,
    )
