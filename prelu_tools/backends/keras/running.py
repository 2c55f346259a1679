"""Run a Keras model as its arithmetic is meant: in float32, and on a CPU.

A mixed or half precision policy says in what a model was trained, and TensorFlow's CPU has no
convolution on channels first: neither is a property of what the model computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.core.arrays import Array
from prelu_tools.core.layout import channels_first, channels_last

_OTHERS = ("float16", "bfloat16", "float64")


def other_precisions(model: Any) -> tuple[str, ...]:
    """The policies and types of a model that are another than float32."""
    layers = [model, *model._flatten_layers(include_self=False)]
    names = (str(getattr(layer.dtype_policy, "name", "")) for layer in layers)
    types = (str(variable.dtype) for variable in model.variables)
    return tuple(
        dict.fromkeys(name for name in (*names, *types) if name.removeprefix("mixed_") in _OTHERS)
    )


def values_of(variable: Any) -> Array:
    """What a variable of Keras or TensorFlow holds, not copied where it is of one type with it.

    Of other floating types than float32 it is cast; TensorFlow's numpy() would copy all of it.
    """
    held = tf.convert_to_tensor(getattr(variable, "value", variable))
    if held.dtype.name in _OTHERS:
        return np.array(held).astype(np.float32)
    return np.asarray(memoryview(held))


@contextmanager
def plainly(model: Any) -> Iterator[None]:
    """Within the block, a model or a layer computes in float32, with convolutions for a CPU."""
    with ExitStack() as stack:
        stack.enter_context(_channels_last_convolutions())
        if other_precisions(model):
            stack.enter_context(_in_float32(model))
        yield


@contextmanager
def as_written() -> Iterator[None]:
    """Within the block, TensorFlow runs graphs without optimizing them.

    It would fuse convolutions with what follows, and has no kernel for that where they are grouped.
    """
    kept = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        off = {"disable_meta_optimizer": False}
        tf.config.optimizer.set_experimental_options({**off, **kept})


@contextmanager
def _in_float32(model: Any) -> Iterator[None]:
    layers = [model, *model._flatten_layers(include_self=False)]
    variables = [v for v in model.variables if str(v.dtype) in _OTHERS]
    tensors = [t for t in getattr(model, "_inputs", None) or () if str(t.dtype) in _OTHERS]
    kept = [(v, v._dtype) for v in (*variables, *tensors)]
    policies = [(layer, layer._dtype_policy) for layer in layers]
    outer = keras.src.backend.common.stateless_scope.get_stateless_scope()
    values = [(v, tf.cast(v._value, "float32")) for v in variables] if outer is None else []
    for layer, _ in policies:
        layer._dtype_policy = keras.dtype_policies.DTypePolicy("float32")
    for item, _ in kept:
        item._dtype = "float32"
    try:
        with keras.StatelessScope(values) if values else ExitStack():
            yield
    finally:
        for layer, policy in policies:
            layer._dtype_policy = policy
        for item, dtype in kept:
            item._dtype = dtype


@contextmanager
def _channels_last_convolutions() -> Iterator[None]:
    """Within the block, Keras' convolutions on channels first move their channels."""
    functions = keras.src.backend.nn
    kept = {name: getattr(functions, name) for name in ("conv", "conv_transpose")}
    for name, function in kept.items():
        setattr(functions, name, _moving(function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(functions, name, function)


def _moving(function: Any) -> Any:
    signature = inspect.signature(function)

    @wraps(function)
    def moving(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        given["data_format"] = keras.src.backend.standardize_data_format(given.get("data_format"))
        if given["data_format"] == "channels_last":
            return function(**given)
        rank = len(given["inputs"].shape)
        given["inputs"] = tf.transpose(given["inputs"], channels_last(rank))
        result = function(**{**given, "data_format": "channels_last"})
        return tf.transpose(result, channels_first(rank))

    return moving
