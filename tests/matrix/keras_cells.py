"""Keras nets of the matrix: a Dense layer or a 1x1 convolution, then PReLU in some spellings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cells import CHANNELS, FEATURES, drawn_slopes, place_sizes
from keras import layers, ops

SPELLINGS: dict[str, Callable[[Any, Any], Any]] = {
    "where": lambda x, a: ops.where(x < 0, a * x, x),
    "tf_where": lambda x, a: tf.where(x >= 0, x, a * x),
    "mask": lambda x, a: ops.cast(x > 0, x.dtype) * x + ops.cast(x <= 0, x.dtype) * (a * x),
    "clip": lambda x, a: ops.clip(x, 0, np.inf) + a * ops.clip(x, -np.inf, 0),
    "max_min": lambda x, a: ops.maximum(x, 0) + a * ops.minimum(x, 0),
    "relu_sub": lambda x, a: ops.relu(x) - a * ops.relu(-x),
    "relu_neg": lambda x, a: ops.relu(x) + a * -ops.relu(-x),
    "abs": lambda x, a: ops.relu(x) + a * (x - ops.abs(x)) * 0.5,
    "max": lambda x, a: ops.maximum(x, a * x),
}


class Slopes(keras.initializers.Initializer):
    """Exactly these values."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values = values

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        """Return them in the shape that Keras wants."""
        return ops.convert_to_tensor(self.values.reshape(shape), dtype)


class ByHand(layers.Layer):
    """A PReLU of the user's own."""

    def __init__(self, form: str, slopes: np.ndarray[Any, Any]) -> None:
        super().__init__(name=form)
        self.label = SPELLINGS[form]
        self.alpha = self.add_weight(name="alpha", shape=slopes.shape, initializer=Slopes(slopes))

    def call(self, x: Any) -> Any:
        """Apply the activation; the shape stays."""
        return self.label(x, self.alpha)


def native(slopes: np.ndarray[Any, Any]) -> layers.PReLU:
    """Keras' own layer, with these slopes."""
    shared = [axis + 1 for axis, size in enumerate(slopes.shape) if size == 1]
    return layers.PReLU(Slopes(slopes), shared_axes=shared or None, name="native")


def net(forms: Sequence[str], sharing: str, rank: int, size: str) -> keras.Model:
    """[N, ..., 2] to an output for each form."""
    keras.utils.set_random_seed(0)
    counts = enumerate(place_sizes(rank, size))
    places = [None if size == "dynamic" and axis < 2 else count for axis, count in counts]
    x = keras.Input((*places, FEATURES), name="x")
    kind = {2: layers.Dense, 3: layers.Conv1D, 4: layers.Conv2D, 5: layers.Conv3D}[rank]
    hidden = kind(CHANNELS, *([] if rank == 2 else [1]), name="layer")(x)
    outputs = {}
    for form in forms:
        slopes = np.moveaxis(drawn_slopes(form, sharing, rank, size), 0, -1)
        layer = native(slopes) if form == "native" else ByHand(form, slopes)
        outputs[form] = layer(hidden)
    return keras.Model(x, outputs)


def every_sharing(rank: int) -> keras.Model:
    """A layer for each combination of shared axes, all on one input as wide as it is long."""
    keras.utils.set_random_seed(0)
    x = keras.Input((*place_sizes(rank, "cube"), FEATURES), name="x")
    kind = {3: layers.Conv1D, 4: layers.Conv2D, 5: layers.Conv3D}[rank]
    hidden = kind(CHANNELS, 1, name="layer")(x)
    outputs = {}
    for axes in combinations_of(rank):
        name = sharing_name(axes)
        layer = layers.PReLU("random_normal", shared_axes=axes or None, name=name)
        outputs[name] = layer(hidden)
    return keras.Model(x, outputs)


def combinations_of(rank: int) -> list[tuple[int, ...]]:
    """Every choice of axes besides the batch."""
    axes = range(1, rank)
    return [chosen for count in range(rank) for chosen in combinations(axes, count)]


def sharing_name(axes: tuple[int, ...]) -> str:
    """The name of the layer that shares its slopes along these axes."""
    return "_".join(["shared", *map(str, axes)])
