"""Run a Keras model as its arithmetic is meant, in float32 and on a CPU.

A mixed or half precision policy says how a model was trained, and TensorFlow has no channels-first
convolution on the CPU: neither belongs to the function that the model computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import keras, tf
from prelu_tools.backends.keras.precision import OTHERS, computing_in, other_precisions
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import channels_first, channels_last


def values_of(variable: Any) -> Array:
    """What a variable of Keras or TensorFlow holds, not copied where it is of one type with it.

    Floating types other than float32 are cast; TensorFlow's numpy() would copy all of it.
    """
    held = tf.convert_to_tensor(getattr(variable, "value", variable))
    if held.dtype.name in OTHERS:
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
def eagerly(is_on: bool = True) -> Iterator[None]:
    """Within the block, functions of TensorFlow run as the Python that they were made from."""
    kept = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(is_on)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(kept)


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
    outer = keras.src.backend.common.stateless_scope.get_stateless_scope()
    others = [v for v in model.variables if str(v.dtype) in OTHERS] if outer is None else []
    values = [(v, tf.cast(v._value, "float32")) for v in others]
    with computing_in(model, "float32"), keras.StatelessScope(values) if values else nullcontext():
        yield


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
            with eagerly(False):  # Keras compiles grouped ones, which have no kernel otherwise
                return function(**given)
        rank = len(given["inputs"].shape)
        given["inputs"] = tf.transpose(given["inputs"], channels_last(rank))
        with eagerly(False):
            result = function(**{**given, "data_format": "channels_last"})
        return tf.transpose(result, channels_first(rank))

    return moving
