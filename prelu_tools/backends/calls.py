"""From the calls that a model made to its PReLU layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.conversion import Parameter
from prelu_tools.backends.interface import Reach
from prelu_tools.core.arrays import Array, IntArray, frozen
from prelu_tools.core.slopes import PReLULayer, Shape


@dataclass(frozen=True)
class PReLUCall:
    """One call of a PReLU in a source."""

    layer: str
    """The layer's name."""
    parameter: str
    """The slope tensor's own name: the key of the layer."""
    kind: str
    """The class or function that was called."""
    values: Array
    """The slope tensor."""
    indices: IntArray
    """How it is laid over the input: the result of `probe`."""
    input_shape: Shape
    """The shape of the input."""
    preceding_parameters: int | None
    """Weights and biases of the layer that was called before."""


def layers_of(calls: Iterable[PReLUCall]) -> tuple[PReLULayer, ...]:
    """The layers, in the order of their first call; later calls of one are `name_1`, `name_2`."""
    grouped: dict[str, list[PReLUCall]] = {}
    for call in calls:
        grouped.setdefault(call.parameter, []).append(call)
    return tuple(_layer(group) for group in grouped.values())


def _layer(group: list[PReLUCall]) -> PReLULayer:
    first = group[0]
    names = [first.layer, *(f"{first.layer}_{i}" for i in range(1, len(group)))]
    return PReLULayer(
        name=first.layer,
        nodes=tuple(names),
        parameter=first.parameter,
        form=first.kind,
        slopes=frozen(first.values.reshape(-1)[first.indices]),
        input_shape=first.input_shape,
        stored_shape=tuple(first.values.shape),
        preceding_parameters=first.preceding_parameters,
        same_instance=True,
        axes=None,
    )


def parameters_of(calls: Iterable[PReLUCall]) -> dict[str, Parameter]:
    """The slope tensors by name."""
    found: dict[str, Parameter] = {}
    for call in calls:
        first = found.get(call.parameter, call)
        n_calls = first.n_calls + 1 if isinstance(first, Parameter) else 1
        found[call.parameter] = Parameter(
            call.layer, call.parameter, call.values, first.indices, n_calls
        )
    return found


def note_reach(reach: Reach, calls: Iterable[PReLUCall], parameter: str, x: Array) -> None:
    """Note which slopes of a parameter meet a negative input in this call.

    Args:
        reach: what has been reached so far; updated.
        calls: the known calls.
        parameter: whose slopes they are.
        x: the input of this call; of the rank of one of the known calls of the parameter.
    """
    same = (c for c in calls if c.parameter == parameter and c.indices.ndim == x.ndim)
    call = next(same, None)
    if call is None:
        return
    shared = tuple(axis for axis, size in enumerate(call.indices.shape) if size == 1)
    negative = np.any(x < 0, axis=shared, keepdims=True)
    mask = reach.masks.setdefault(call.layer, np.zeros(call.values.size, np.bool_))
    mask[call.indices[negative]] = True
