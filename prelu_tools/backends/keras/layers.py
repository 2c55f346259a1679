"""The layers of a Keras model, their names, and the owners of its variables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from prelu_tools.core.prelu.layout import Layout

Seen = Callable[[Any, Any, Any], None]
"""Called with a layer, its input and its output."""

Around = Callable[[Any, Callable[[Any], Any], Any], Any]
"""Calls a layer, given the layer, the function that computes its output, and its input."""


_KINKS = frozenset((
    *("Relu", "LeakyRelu", "Where", "Select", "Maximum", "Minimum", "Abs", "Absolute", "Sign"),
    *("Clip", "Greater", "GreaterEqual", "Less", "LessEqual", "Heaviside", "Signbit"),
    *("Cond", "Switch", "Map", "VectorizedMap", "Scan", "WhileLoop", "ForiLoop"),
))  # fmt: skip
"""Operations of `keras.ops` that are not alike on both sides of 0, or call functions."""


def walk(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer below a model with its path of names, outer models first."""
    for layer in model._flatten_layers(include_self=False, recursive=False):
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from walk(layer, f"{path}/")


def is_leaf(layer: Any) -> bool:
    """Whether a layer has no layers inside."""
    return next(iter(layer._flatten_layers(include_self=False, recursive=False)), None) is None


def holds_numbers(layer: Any) -> bool:
    """Whether a layer without variables may compute with numbers in its own code."""
    foreign = not type(layer).__module__.startswith("keras.")
    return is_leaf(layer) and not layer.weights and (foreign or type(layer).__name__ == "Lambda")


def has_kinks(model: Any) -> bool:
    """Whether a functional model uses `keras.ops` that may treat signs differently."""
    operations = getattr(model, "operations", ())
    return any(
        type(each).__name__ in _KINKS and ".ops." in type(each).__module__ for each in operations
    )


def layer_names(model: Any) -> dict[int, str]:
    """The name of each leaf layer by its id: short if unique, otherwise the whole path."""
    paths = {id(layer): (path, layer.name) for path, layer in walk(model) if is_leaf(layer)}
    short = [name for _, name in paths.values()]
    return {key: name if short.count(name) == 1 else path for key, (path, name) in paths.items()}


@contextmanager
def watching(
    model: Any,
    before: Callable[[Any], None] | None,
    after: Seen | None,
    around: Around | None = None,
) -> Iterator[None]:
    """Within the block, calls of layers are reported.

    Args:
        model: the model with these layers.
        before: is called with each layer, before it is called; None for none.
        after: is called with each leaf with its input and output.
        around: calls each leaf.
    """
    layers = list({id(layer): layer for _, layer in walk(model)}.values())
    if not layers and is_leaf(model):
        layers = [model]
    for layer in layers:
        inner = (after, around) if is_leaf(layer) else (None, None)
        layer.__dict__["call"] = _told(layer, layer.call, before, *inner)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["call"]


def _told(
    layer: Any,
    call: Any,
    before: Callable[[Any], None] | None,
    after: Seen | None,
    around: Around | None,
) -> Callable[..., Any]:
    def told(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(layer)
        if not (args or kwargs):
            return call()
        key = "" if args else next(iter(kwargs))
        x = args[0] if args else kwargs[key]

        def computed(x: Any) -> Any:
            return call(x, *args[1:], **kwargs) if args else call(**{**kwargs, key: x})

        result = computed(x) if around is None else around(layer, computed, x)
        if after is not None:
            after(layer, x, result)
        return result

    return told


def data_layout(model: Any) -> Layout:
    """Channels first, where every layer that could have them elsewhere has."""
    formats = {getattr(layer, "data_format", None) for _, layer in walk(model)} - {None}
    return "nchw" if formats == {"channels_first"} else "nhwc"


class Owner(NamedTuple):
    """Who has a variable."""

    layer: str
    """The layer's name; "" for the model itself."""
    parameter: str
    """The variable's name, its layer's included."""
    foreign: bool
    """Whether the layer is none of Keras' own."""
    kind: str
    """The layer's class."""
    is_alone: bool
    """Whether the layer has no other variable, and no layer inside."""
    start: float | None = None
    """The value at which the layer starts all of it; None if that is random, or unknown."""


def owners(model: Any) -> dict[int, Owner]:
    """The owner of each variable by its id."""
    names = layer_names(model)
    found: dict[int, Owner] = {}
    taken: set[str] = set()
    for path, layer in [(model.name if is_leaf(model) else "", model), *walk(model)]:
        name = names.get(id(layer), path)
        kind, foreign = type(layer).__name__, not type(layer).__module__.startswith("keras.")
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        for variable in own:
            parameter = base = f"{name}/{variable.name}".lstrip("/")
            numbers = itertools.count(1)
            while parameter in taken:
                parameter = f"{base}_{next(numbers)}"
            if id(variable) not in found:
                taken.add(parameter)
                is_alone = len(own) == 1 and is_leaf(layer)
                found[id(variable)] = Owner(
                    name, parameter, foreign, kind, is_alone, _start(layer, variable.name)
                )
    return found


def _start(layer: Any, variable: str) -> float | None:
    """The value of a variable at first, by its initializer, which layers keep as an attribute."""
    made: Any = getattr(layer, f"{variable}_initializer", None)
    kind = type(made).__name__
    if kind == "Constant" and isinstance(value := made.get_config().get("value"), (int, float)):
        return float(value)
    return {"Zeros": 0.0, "Ones": 1.0}.get(kind)
