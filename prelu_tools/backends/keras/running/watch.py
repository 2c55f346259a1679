"""Observe the layers of a Keras model while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.layers import is_leaf, layer_names, walk
from prelu_tools.backends.keras.running.eagerly import plainly, values_of
from prelu_tools.backends.probing.probe import probe
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import Shape


class CallFinder:
    """Collects the PReLU calls of a model: an `after` of `watching`."""

    def __init__(self, model: Any) -> None:
        """Nothing is seen yet."""
        self.calls: list[PReLUCall] = []
        self._model = model
        self._called: set[int] = set()
        self._names = layer_names(model)
        self._names.setdefault(id(model), model.name)
        self._preceding: int | None = None

    def __call__(self, layer: Any, x: Any, y: Any) -> None:
        """Probe the layer if it has one parameter and keeps the shape of its input."""
        weights = layer.weights
        self._called.add(id(layer))
        if len(weights) == 1 and _keeps_shape(x, y):
            self.ask(layer, (None, *(int(s) for s in x.shape[1:])))
        if any(len(weight.shape) > 1 for weight in layer.trainable_weights):
            self._preceding = self._preceding_after(layer)

    def missed(self) -> dict[str, Any]:
        """The layers with one parameter that nothing has called, by the name of that."""
        leaves = (layer for _, layer in walk(self._model) if is_leaf(layer))
        return {
            self._parameter(layer, layer.weights[0]): layer
            for layer in leaves
            if len(layer.weights) == 1 and id(layer) not in self._called
        }

    def _preceding_after(self, layer: Any) -> int | None:
        if any(call.parameter == self._parameter(layer, layer.weights[0]) for call in self.calls):
            return self._preceding
        return sum(int(np.prod(weight.shape)) for weight in layer.weights)

    def _parameter(self, layer: Any, weight: Any) -> str:
        return f"{self._names[id(layer)]}/{weight.name}"

    def ask(self, layer: Any, shape: Shape) -> None:
        """Probe a layer with one parameter, for an input of this shape."""
        weight = layer.weights[0]
        name = self._parameter(layer, weight)
        own = values_of(weight)

        def call(x: Array, changed: Mapping[str, Array]) -> Array:
            state = [(weight, tf.constant(changed.get(name, own)))]
            with plainly(layer), keras.StatelessScope(state):
                return np.asarray(type(layer).call(layer, tf.constant(x)))

        answer = probe(call, {name: own}, shape)
        if answer is not None:
            self.calls.append(
                PReLUCall(
                    layer=self._names[id(layer)],
                    parameter=name,
                    kind=type(layer).__name__,
                    values=answer.values,
                    indices=answer.indices,
                    input_shape=shape,
                    preceding_parameters=self._preceding,
                    apply=lambda x: call(x, {}),
                    origin=answer.origin,
                    sources=(name,),
                    is_own=answer.is_own,
                    ask=call,
                )
            )


def _keeps_shape(x: Any, y: Any) -> bool:
    shapes = getattr(x, "shape", None), getattr(y, "shape", None)
    floating = str(getattr(x, "dtype", "")).find("float") >= 0
    return floating and shapes[0] is not None and tuple(shapes[0]) == tuple(shapes[1] or ())


def slope_name(model: Any, layer: Any) -> str | None:
    """The name of the one variable of a leaf layer; None if it has another number of them."""
    if len(layer.weights) != 1:
        return None
    names = layer_names(model)
    return f"{names.get(id(layer), model.name)}/{layer.weights[0].name}"
