"""Layers that are nothing but slopes."""

from __future__ import annotations

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer, Shape

SLOPES = np.array([0.25, -0.5, 1.5, 0.1], np.float32)


def layer_of(slopes: Array, input_shape: Shape | None = None, name: str = "act") -> PReLULayer:
    """One with these slopes."""
    return PReLULayer(
        name=name,
        nodes=(name,),
        parameter=None,
        form="prelu",
        slopes=slopes,
        input_shape=input_shape,
        stored_shape=slopes.shape,
        preceding_parameters=None,
        same_instance=True,
    )


def channels(values: Array, name: str = "act") -> PReLULayer:
    """One with a slope for each channel."""
    return layer_of(values.reshape(1, -1, 1, 1), (None, values.size, 5, 6), name)
