"""The type that a Keras model computes in: its policies, and how to change the type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prelu_tools.backends.keras.library import keras

OTHERS = ("float16", "bfloat16", "float64")
"""Types that models are made in besides float32."""


def other_precisions(model: Any) -> tuple[str, ...]:
    """The policies and types of a model that are another than float32."""
    layers = [model, *model._flatten_layers(include_self=False)]
    names = (str(getattr(layer.dtype_policy, "name", "")) for layer in layers)
    types = (str(variable.dtype) for variable in model.variables)
    return tuple(
        dict.fromkeys(name for name in (*names, *types) if name.removeprefix("mixed_") in OTHERS)
    )


def note_precisions(model: Any) -> list[str]:
    """What to say of a model that was made in another type than float32."""
    policies = other_precisions(model)
    if not policies:
        return []
    said = f"the model was made in {' and '.join(policies)}"
    rounded = "rounded to it" if "float64" in policies else "which holds their values"
    return [f"{said}: it is run and exported in float32, with its weights {rounded}"]


@contextmanager
def computing_in(model: Any, dtype: str) -> Iterator[None]:
    """Within the block, the layers of a model compute in this type.

    Its variables say that they are of it: who calls the model gives their values, in a
    `keras.StatelessScope`.
    """
    kinds = {*OTHERS, "float32"}
    layers = [model, *model._flatten_layers(include_self=False)]
    variables = [v for v in model.variables if str(v.dtype) in kinds]
    tensors = [t for t in getattr(model, "_inputs", None) or () if str(t.dtype) in kinds]
    kept = [(item, item._dtype) for item in (*variables, *tensors)]
    policies = [(layer, layer._dtype_policy) for layer in layers]
    for layer, _ in policies:
        layer._dtype_policy = keras.dtype_policies.DTypePolicy(dtype)
    for item, _ in kept:
        item._dtype = dtype
    try:
        yield
    finally:
        for layer, policy in policies:
            layer._dtype_policy = policy
        for item, kind in kept:
            item._dtype = kind
