"""What the Keras nets have in common."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

keras.config.disable_traceback_filtering()


def prelu(shared: tuple[int, ...] | None = (1, 2)) -> Any:
    """Slopes shared along these axes; None for Keras' default, one for each element."""
    return layers.PReLU(shared_axes=shared, alpha_initializer=keras.initializers.Constant(0.25))


def conv(x: Any, o: int, k: int = 3, s: int = 1, *, norm: bool = True, act: bool = True) -> Any:
    """Convolution with `same` padding, BatchNorm and PReLU."""
    x = layers.Conv2D(o, k, s, padding="same", use_bias=not norm)(x)
    if norm:
        x = layers.BatchNormalization()(x)
    return prelu()(x) if act else x
