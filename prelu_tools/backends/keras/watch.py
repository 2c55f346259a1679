"""See what the layers of a Keras model do while it runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from prelu_tools.backends.calls import PReLUCall
from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.running import plainly, values_of
from prelu_tools.backends.probe import probe
from prelu_tools.core.arrays import Array

Seen = Callable[[Any, Any, Any], None]


def walk(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer below a model with its path of names, outer models first."""
    for layer in model._flatten_layers(include_self=False, recursive=False):
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from walk(layer, f"{path}/")


def is_leaf(layer: Any) -> bool:
    """Whether a layer has no layers inside."""
    return next(iter(layer._flatten_layers(include_self=False, recursive=False)), None) is None


def layer_names(model: Any) -> dict[int, str]:
    """The name of each leaf layer by its id: short where that is unique, else the whole path."""
    paths = {id(layer): (path, layer.name) for path, layer in walk(model) if is_leaf(layer)}
    short = [name for _, name in paths.values()]
    return {key: name if short.count(name) == 1 else path for key, (path, name) in paths.items()}


@contextmanager
def watching(
    model: Any, before: Callable[[Any], None] | None, after: Seen | None
) -> Iterator[None]:
    """Within the block, the calls of layers are told of.

    Args:
        model: whose layers.
        before: is told of each layer, before it is called; None for nobody.
        after: is told of each leaf with its input and output.
    """
    layers = list({id(layer): layer for _, layer in walk(model)}.values())
    if not layers and is_leaf(model):
        layers = [model]
    for layer in layers:
        layer.__dict__["call"] = _told(layer, layer.call, before, after if is_leaf(layer) else None)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["call"]


def _told(
    layer: Any, call: Any, before: Callable[[Any], None] | None, after: Seen | None
) -> Callable[..., Any]:
    def told(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(layer)
        result = call(*args, **kwargs)
        if after is not None and (args or kwargs):
            after(layer, args[0] if args else next(iter(kwargs.values())), result)
        return result

    return told


class CallFinder:
    """Collects the PReLU calls of a model: an `after` of `watching`."""

    def __init__(self, model: Any) -> None:
        """Nothing is seen yet."""
        self.calls: list[PReLUCall] = []
        self._names = layer_names(model)
        self._names.setdefault(id(model), model.name)
        self._preceding: int | None = None

    def __call__(self, layer: Any, x: Any, y: Any) -> None:
        """Probe the layer if it has one parameter and keeps the shape of its input."""
        weights = layer.weights
        if len(weights) == 1 and _keeps_shape(x, y):
            self._probe(layer, weights[0], (None, *(int(s) for s in x.shape[1:])))
        if any(len(weight.shape) > 1 for weight in layer.trainable_weights):
            self._preceding = self._preceding_after(layer)

    def _preceding_after(self, layer: Any) -> int | None:
        if any(call.parameter == self._parameter(layer, layer.weights[0]) for call in self.calls):
            return self._preceding
        return sum(int(np.prod(weight.shape)) for weight in layer.weights)

    def _parameter(self, layer: Any, weight: Any) -> str:
        return f"{self._names[id(layer)]}/{weight.name}"

    def _probe(self, layer: Any, weight: Any, shape: tuple[int | None, ...]) -> None:
        def call(x: Array, tags: Array) -> Array:
            with plainly(layer), keras.StatelessScope([(weight, tf.constant(tags))]):
                return np.asarray(type(layer).call(layer, tf.constant(x)))

        indices = probe(call, tuple(weight.shape), shape)
        if indices is not None:
            values = values_of(weight)
            self.calls.append(
                PReLUCall(
                    layer=self._names[id(layer)],
                    parameter=self._parameter(layer, weight),
                    kind=type(layer).__name__,
                    values=values,
                    indices=indices,
                    input_shape=shape,
                    preceding_parameters=self._preceding,
                    apply=lambda x: call(x, values),
                )
            )


def _keeps_shape(x: Any, y: Any) -> bool:
    shapes = getattr(x, "shape", None), getattr(y, "shape", None)
    floating = str(getattr(x, "dtype", "")).find("float") >= 0
    return floating and shapes[0] is not None and tuple(shapes[0]) == tuple(shapes[1] or ())


def slope_name(model: Any, layer: Any) -> str | None:
    """The name of the one variable of a leaf layer; None where it has another number of them."""
    if len(layer.weights) != 1:
        return None
    names = layer_names(model)
    return f"{names.get(id(layer), model.name)}/{layer.weights[0].name}"


class Owner(NamedTuple):
    """Who has a variable."""

    layer: str
    """The layer's name; "" for the model itself."""
    parameter: str
    """The variable's name, its layer's included."""
    foreign: bool
    """Whether the layer is none of Keras' own."""


def owners(model: Any) -> dict[int, Owner]:
    """The owner of each variable by its id."""
    names = layer_names(model)
    found: dict[int, Owner] = {}
    taken: set[str] = set()
    for path, layer in [(model.name if is_leaf(model) else "", model), *walk(model)]:
        name = names.get(id(layer), path)
        foreign = not type(layer).__module__.startswith("keras.")
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            parameter = base = f"{name}/{variable.name}".lstrip("/")
            numbers = itertools.count(1)
            while parameter in taken:
                parameter = f"{base}_{next(numbers)}"
            if id(variable) not in found:
                taken.add(parameter)
                found[id(variable)] = Owner(name, parameter, foreign)
    return found
