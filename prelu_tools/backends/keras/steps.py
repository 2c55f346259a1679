"""`TimeDistributed` over a dynamic number of steps, as one call with each step as a row.

Keras 3 uses a loop, which fixes the number of steps; for a dynamic number it uses a
`vectorized_map` over as many steps as the batch has rows (it counts before it transposes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from prelu_tools.backends.keras.layers import walk
from prelu_tools.backends.keras.library import keras


def has_free_steps(model: Any) -> bool:
    """Whether a layer of a model was built for any number of steps."""
    return any(_is_free(layer) for layer in _distributed(model))


@contextmanager
def steps_as_rows(model: Any) -> Iterator[None]:
    """Within the block, layers over a free number of steps call their inner layer once.

    It is meant for inner layers that treat each row alone, as nearly all do in inference.
    """
    kept = [(layer, layer.__dict__.get("call")) for layer in _distributed(model)]
    for layer, _ in kept:
        layer.__dict__["call"] = partial(_call, layer, layer.call)
    try:
        yield
    finally:
        for layer, call in kept:
            del layer.__dict__["call"]
            if call is not None:
                layer.__dict__["call"] = call


def _distributed(model: Any) -> list[Any]:
    layers = {id(layer): layer for _, layer in walk(model)}.values()
    return [layer for layer in layers if isinstance(layer, keras.layers.TimeDistributed)]


def _is_free(layer: Any) -> bool:
    built = next(iter((layer._build_shapes_dict or {}).values()), None)
    return isinstance(built, tuple | list) and len(built) > 1 and built[1] is None


def _call(
    layer: Any, plain: Callable[..., Any], inputs: Any, training: Any = None, mask: Any = None
) -> Any:
    if inputs.shape[1] is not None and not _is_free(layer):
        return plain(inputs, training=training, mask=mask)
    given: dict[str, Any] = {}
    if layer.layer._call_has_mask_arg and mask is not None:
        given["mask"] = _rows(mask)
    if layer.layer._call_has_training_arg:
        given["training"] = training
    found = layer.layer.call(_rows(inputs), **given)
    steps = keras.ops.shape(inputs)[1]
    return keras.ops.reshape(found, (-1, steps, *keras.ops.shape(found)[1:]))


def _rows(tensor: Any) -> Any:
    """[N, T, ...] as [N * T, ...]."""
    return keras.ops.reshape(tensor, (-1, *keras.ops.shape(tensor)[2:]))
