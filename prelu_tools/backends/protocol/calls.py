"""From the calls that a model made to its PReLU layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.core.arrays import Array, IntArray, frozen
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import PReLULayer, Shape
from prelu_tools.core.results.reasons import Reason

_UNKNOWN: Mapping[str, float | None] = {}


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
    apply: Callable[[Array], Array] | None = None
    """The layer by itself, with its slopes; None if it cannot be called so."""
    origin: str = ""
    """The constant that its slopes come from."""
    sources: tuple[str, ...] = ()
    """The constants with a name that take part in it, `origin` among them where it has one."""
    is_own: bool = False
    """Whether they are the elements of that constant, and not a function of it."""
    ask: Callable[[Array, Mapping[str, Array]], Array] | None = None
    """The layer by itself, with other values in the place of its constants, by name."""
    is_hidden: bool = False
    """Whether converters have to find it: it is in a branch or a loop that has its own graph, or in
    a module that calls no functions."""


def not_called(name: str) -> Reason:
    """What to say of a PReLU that a source has and does not use."""
    return Reason(
        f"PReLU {name} was not called when the model ran to find its layers, so no layer has "
        "its slopes",
        "prelu_not_called",
    )


def layers_of(
    calls: Iterable[PReLUCall], starts: Mapping[str, float | None] = _UNKNOWN
) -> tuple[PReLULayer, ...]:
    """The layers, in the order of their first call; later calls of one are `name_1`, `name_2`.

    Args:
        calls: in their order.
        starts: by a slope tensor's name, where its values start.
    """
    grouped: dict[str, list[PReLUCall]] = {}
    for call in calls:
        grouped.setdefault(call.parameter, []).append(call)
    return tuple(_layer(group, starts.get(name)) for name, group in grouped.items())


def _layer(group: list[PReLUCall], start: float | None) -> PReLULayer:
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
        start=start,
    )


def slopes_with(call: PReLUCall, current: Mapping[str, Array]) -> Array:
    """The effective slopes of a call, in its input's axes, with other values of its constants.

    Args:
        call: what was found of it.
        current: the values of constants by name, `call.origin` among them; of one that is left out
            the value that it had when the call was found.

    Raises:
        PReLUToolsError: the layer cannot be called in isolation.
    """
    if call.is_own and not set(current) - {call.origin}:
        return current[call.origin].reshape(-1)[call.indices]
    if call.ask is None:
        raise PReLUToolsError(f"{call.layer} cannot be called in isolation")
    held = {key: np.asarray(array, np.float32) for key, array in current.items()}
    shape = call.values.shape
    try:
        found = call.ask(np.full(shape, -1, np.float32), held)
    except Exception:  # it fixes more sizes than those in which its slopes vary
        found = np.zeros(0)
    if found.shape != shape:
        full = tuple(size or 1 for size in call.input_shape)
        found = call.ask(np.full(full, -1, np.float32), held)
        found = found[tuple(slice(size) for size in shape)]
    return np.float32(0) - found


def slope_sources(call: PReLUCall, values: Mapping[str, Array]) -> tuple[str, ...]:
    """The constants with given values that the slopes of a call depend on.

    Raises:
        PReLUToolsError: the layer cannot be called in isolation.
    """
    if len(call.sources) < 2:
        return call.sources

    def matters(name: str) -> bool:
        own = np.asarray(values[name], np.float32)
        # With a constant besides the origin, the layer itself is probed.
        changed = ({**values, name: own + moved} for moved in (np.float32(0), np.float32(0.37)))
        before, after = (slopes_with(call, each) for each in changed)
        return not np.array_equal(before, after, equal_nan=True)

    return tuple(name for name in call.sources if name in values and matters(name))


def activation_of(calls: Iterable[PReLUCall], layer: str) -> Callable[[Array], Array]:
    """See `Source.activation`.

    Raises:
        PReLUToolsError: the layer cannot be called in isolation.
    """
    for call in calls:
        if call.layer == layer and call.apply is not None:
            return partial(_apply, call.apply, call.input_shape)
    raise PReLUToolsError(f"{layer} cannot be called in isolation")


def _apply(apply: Callable[[Array], Array], shape: Shape, x: Array) -> Array:
    """What a layer makes of an input that may have size 1 along axes that its slopes share."""
    if len(shape) != x.ndim:
        return apply(x)
    full = (*x.shape[:1], *(size or 1 for size in shape[1:]))
    spread = np.broadcast_to(x, np.broadcast_shapes(x.shape, full))
    return apply(np.array(spread))[tuple(slice(size) for size in x.shape)]


class Tally:
    """Numbers the calls of each layer while a model runs once, and reports them to the observer."""

    def __init__(self, calls: Iterable[PReLUCall], observe: Observer) -> None:
        self._layers = {call.parameter: call.layer for call in calls}
        self._observe = observe
        self._numbers: Counter[str] = Counter()

    def knows(self, parameter: str) -> bool:
        """Whether these are the slopes of a layer."""
        return parameter in self._layers

    def __call__(self, parameter: str, x: Array, y: Array) -> bool:
        """One call; False if the parameter is none of the known slopes."""
        layer = self._layers.get(parameter)
        if layer is None:
            return False
        number = self._numbers[layer]
        self._numbers[layer] += 1
        self._observe(layer, number, x, y)
        return True
