"""IResNet-50 in Keras, layer by layer as ``benchmarks.nets.faces.IResNet50``; 166 MB."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-5, name=name)(x)


def _convolution(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    if kernel == 3:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return layers.Conv2D(channels, kernel, stride, use_bias=False, name=name)(x)


def _prelu(x: Any, name: str) -> Any:
    start = keras.initializers.RandomNormal(0.2, 0.25, seed=len(name))
    return layers.PReLU(alpha_initializer=start, shared_axes=[1, 2], name=name)(x)


def _residual(x: Any, channels: int, stride: int, name: str) -> Any:
    y = _convolution(_norm(x, f"{name}_bn1"), channels, 3, 1, f"{name}_conv1")
    y = _prelu(_norm(y, f"{name}_bn2"), f"{name}_prelu")
    y = _norm(_convolution(y, channels, 3, stride, f"{name}_conv2"), f"{name}_bn3")
    if stride != 1 or x.shape[-1] != channels:
        x = _norm(_convolution(x, channels, 1, stride, f"{name}_down"), f"{name}_bn4")
    return layers.Add(name=f"{name}_add")([y, x])


def iresnet50() -> keras.Model:
    """Build the net: [N, 112, 112, 3] to [N, 512]."""
    keras.utils.set_random_seed(0)
    face = keras.Input((112, 112, 3), name="face")
    x = _prelu(_norm(_convolution(face, 64, 3, 1, "conv1"), "bn1"), "prelu")
    for stage, (channels, blocks) in enumerate(((64, 3), (128, 4), (256, 14), (512, 3)), 1):
        for block in range(blocks):
            x = _residual(x, channels, 1 if block else 2, f"layer{stage}_{block}")
    x = layers.Flatten(name="flatten")(_norm(x, "bn2"))
    x = _norm(layers.Dense(512, name="fc")(x), "features")
    return keras.Model(face, x, name="iresnet50")
