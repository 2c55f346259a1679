"""Trace a Keras model, once, as a function of its inputs and of its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.graphs.freezing import flat_graph, freeze
from prelu_tools.backends.keras.graphs.marks import Mark, marked, taps_of
from prelu_tools.backends.keras.graphs.program import Program, Weight
from prelu_tools.backends.keras.layers import data_layout, layer_names, owners, watching
from prelu_tools.backends.keras.running.eagerly import eagerly, plainly, values_of
from prelu_tools.backends.keras.running.watch import slope_name
from prelu_tools.backends.keras.steps import steps_as_rows
from prelu_tools.backends.protocol.failures import said_by
from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.errors import PReLUToolsError


def trace_model(
    model: Any,
    specs: Sequence[TensorSpec],
    call: Callable[[list[Any]], dict[str, Any]],
    slopes: Sequence[str],
    show: bool,
) -> Program:
    """The graph of a model.

    Args:
        model: the `keras.Model`, built.
        specs: its inputs.
        call: runs the model on its flat inputs and names its outputs.
        slopes: parameters of layers that are PReLU, or may be: their calls are marked
            (`Program.taps`).
        show: whether to let the framework write to standard error.

    Raises:
        PReLUToolsError: Keras cannot trace it.
    """
    trace = _Trace(model, specs, call, slopes)
    try:
        with quiet(show), plainly(model):
            # A function that was already traced would not be run again, and so not be marked.
            with suppress(Exception), eagerly():
                return trace.program()
            return trace.program()
    except Exception as error:
        raise PReLUToolsError(
            f"Keras cannot trace {model.name} ({type(error).__name__}: {said_by(error)})"
        ) from error


class _Trace:
    def __init__(
        self,
        model: Any,
        specs: Sequence[TensorSpec],
        call: Callable[[list[Any]], dict[str, Any]],
        slopes: Sequence[str],
    ) -> None:
        self._model = model
        self._specs = specs
        self._call = call
        self._slopes = slopes
        self._variables = list({id(v): v for v in model.variables}.values())
        self._names = layer_names(model)
        self._scopes: dict[str, str] = {}
        self._outputs: list[str] = []
        self._marks: dict[int, Mark] = {}

    def program(self) -> Program:
        specs = [
            tf.TensorSpec(
                [s if isinstance(s, int) else None for s in spec.shape], spec.dtype, f"in_{i}"
            )
            for i, spec in enumerate(self._specs)
        ]
        specs += [
            tf.TensorSpec(v.shape, v.dtype, f"weight_{i}") for i, v in enumerate(self._variables)
        ]
        told = watching(self._model, self._before, None, self._around)
        with told, steps_as_rows(self._model):
            function = tf.function(self._traced, autograph=False).get_concrete_function(*specs)
        frozen = freeze(function)
        inputs = [tensor.name for tensor in frozen.inputs]
        n, definition = len(self._specs), flat_graph(frozen)
        return Program(
            name=self._model.name,
            definition=definition,
            specs=tuple(self._specs),
            inputs=tuple(inputs[:n]),
            outputs=dict(zip(self._outputs, (t.name for t in frozen.outputs), strict=True)),
            weights=self._weights(inputs[n:]),
            taps=tuple(taps_of(definition, self._marks)),
            layout=data_layout(self._model),
            layers=self._scopes,
        )

    def _weights(self, tensors: Sequence[str]) -> tuple[Weight, ...]:
        owner = owners(self._model)
        return tuple(
            Weight(
                tensor=tensor,
                layer=owner[id(v)].layer if id(v) in owner else "",
                name=owner[id(v)].parameter if id(v) in owner else v.path,
                shape=tuple(v.shape),
                read=partial(values_of, v),
            )
            for tensor, v in zip(tensors, self._variables, strict=True)
        )

    def _before(self, layer: Any) -> None:
        self._scopes[tf.get_current_name_scope()] = self._names.get(id(layer), layer.name)

    def _around(self, layer: Any, call: Callable[[Any], Any], x: Any) -> Any:
        name = slope_name(self._model, layer)
        if name is None or name not in self._slopes:
            return call(x)
        number = len(self._marks)
        self._marks[number] = name, None if x.shape.rank is None else tuple(x.shape)
        return marked(number, "y", call(marked(number, "x", x)))

    def _traced(self, *flat: Any) -> list[Any]:
        inputs, weights = list(flat[: len(self._specs)]), flat[len(self._specs) :]
        with keras.StatelessScope(list(zip(self._variables, weights, strict=True))):
            outputs: Mapping[str, Any] = self._call(inputs)
        self._outputs = list(outputs)
        return [tf.identity(v, name=f"out_{i}") for i, v in enumerate(outputs.values())]
