"""Small nets for the library's tests, alive and as sources."""

from __future__ import annotations

from typing import Any

SHAPE = {"input": ("batch", 3, 8, 8)}


def torch_net(seed: int = 0) -> Any:
    """Two convolutions around a PReLU of four slopes, some below 0."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    act = nn.PReLU(4)
    nn.init.normal_(act.weight, 0.2, 0.5)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), act, nn.Conv2d(4, 2, 1))


def keras_net() -> Any:
    """A convolution with a PReLU of four slopes behind it."""
    import keras

    keras.utils.set_random_seed(0)
    spread = keras.initializers.RandomNormal(0.2, 0.5, seed=1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.PReLU(spread, shared_axes=(1, 2), name="act"),
        ]
    )
