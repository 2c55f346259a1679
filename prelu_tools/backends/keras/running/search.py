"""Search for inputs that reach slopes, with a model's gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import Program
from prelu_tools.backends.keras.layers import watching
from prelu_tools.backends.keras.running.eagerly import as_written, eagerly
from prelu_tools.backends.keras.running.watch import slope_name
from prelu_tools.backends.probing.seeking import Pick, Pull
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array

_Entered = Callable[[str, Any], None]
"""Called with the input of the layer that has these slopes."""


def gradients_of(
    model: Any,
    specs: Sequence[TensorSpec],
    call: Callable[[list[Any]], dict[str, Any]],
    calls: Iterable[PReLUCall],
) -> Pull:
    """The `Pull` of a Keras model.

    Args:
        model: the `keras.Model`.
        specs: its inputs.
        call: runs the model on its flat inputs.
        calls: its known calls of PReLU.
    """

    def run(tensors: list[Any], entered: _Entered) -> None:
        def after(layer: Any, x: Any, _y: Any) -> None:
            entered(slope_name(model, layer) or "", x)

        with eagerly(), watching(model, None, after):
            call(tensors)

    return _pull(specs, calls, run)


def gradients_in(program: Program, calls: Iterable[PReLUCall]) -> Pull:
    """The `Pull` of the graph of a model, whose calls are its taps."""
    with quiet(show=False):
        function = program.function(program.inputs, [tap.x for tap in program.open_taps])
        weights = program.tensors([])

    def run(tensors: list[Any], entered: _Entered) -> None:
        with as_written():
            inputs = function(*tensors, *weights)
        for tap, x in zip(program.open_taps, inputs, strict=True):
            entered(tap.parameter, x)

    return _pull(program.specs, calls, run)


def _pull(
    specs: Sequence[TensorSpec],
    calls: Iterable[PReLUCall],
    run: Callable[[list[Any], _Entered], None],
) -> Pull:
    layers = {known.parameter: known.layer for known in calls}

    def pull(feeds: Mapping[str, Array], picks: list[Pick]) -> tuple[Array, dict[str, Array]]:
        tensors = {spec.name: tf.constant(feeds[spec.name]) for spec in specs}
        floating = {name: t for name, t in tensors.items() if t.dtype.is_floating}
        met: list[list[Any]] = [[] for _ in picks]

        def entered(parameter: str, x: Any) -> None:
            found = layers.get(parameter)
            for pick, lows in zip(picks, met, strict=True):
                if pick.layer == found and len(x.shape) == len(pick.where) + 1:
                    lows.append(tf.reduce_min(x[(pick.row, *pick.where)]))

        with quiet(show=False), tf.GradientTape() as tape:
            for tensor in floating.values():
                tape.watch(tensor)
            run(list(tensors.values()), entered)
            if not all(met) or not floating:
                return np.zeros(len(picks)), {}
            lows = tf.stack([tf.reduce_min(tf.stack(found)) for found in met])
            total = tf.reduce_sum(lows)
        gradients = tape.gradient(total, floating)
        dense = {n: tf.convert_to_tensor(g) for n, g in gradients.items() if g is not None}
        return np.asarray(lows), {name: np.asarray(g) for name, g in dense.items()}

    return pull
