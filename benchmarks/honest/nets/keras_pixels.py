"""Keras: pictures and volumes out."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from benchmarks.honest.nets.keras_parts import conv, prelu
from benchmarks.honest.registry import net, normal, uniform


class DepthToSpace(layers.Layer):  # type: ignore[misc]
    """Sub-pixel shuffle, by reshapes."""

    def __init__(self, r: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.r = r

    def call(self, x: Any) -> Any:
        _, h, w, _ = ops.shape(x)
        r, o = self.r, x.shape[-1] // self.r**2
        x = ops.transpose(ops.reshape(x, (-1, h, w, r, r, o)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, h * r, w * r, o))


@net(
    "SRResNet, Ledig et al. 2017, arXiv:1609.04802",
    framework="keras",
    x=uniform(0, 1, "batch", 12, 16, 3),
)
def srresnet() -> Any:
    """Residual blocks, sub-pixel steps, tanh."""
    image = layers.Input((12, 16, 3), name="x")
    first = x = conv(image, 12, 9, norm=False)
    for _ in range(3):
        x = layers.Add()([x, conv(conv(x, 12), 12, act=False)])
    x = layers.Add()([first, conv(x, 12, act=False)])
    x = prelu()(DepthToSpace(2)(layers.Conv2D(48, 3, padding="same")(x)))
    return keras.Model(image, layers.Conv2D(3, 9, padding="same", activation="tanh")(x))


@net(
    "FSRCNN, Dong et al. 2016, arXiv:1608.00367",
    framework="keras",
    x=uniform(0, 1, "batch", "height", "width", 1),
    sizes={"height": 10, "width": 13},
)
def fsrcnn() -> Any:
    """A transposed convolution; sizes free."""
    image = layers.Input((None, None, 1), name="x")
    x = conv(image, 16, 5, norm=False)
    for o, k in ((6, 1), (6, 3), (6, 3), (16, 1)):
        x = conv(x, o, k, norm=False)
    return keras.Model(image, layers.Conv2DTranspose(1, 9, 3, padding="same")(x))


@net(
    "V-Net, Milletari et al. 2016, arXiv:1606.04797",
    framework="keras",
    x=normal("batch", 8, 8, 10, 1),
)
def vnet() -> Any:
    """Volumes, slopes shared over three axes."""
    volume = layers.Input((8, 8, 10, 1), name="x")
    share = (1, 2, 3)
    first = prelu(share)(layers.Conv3D(6, 3, padding="same")(volume))
    x = prelu(share)(layers.Conv3D(10, 2, 2)(first))
    x = prelu(share)(layers.Add()([x, layers.Conv3D(10, 3, padding="same")(x)]))
    x = prelu(share)(layers.Conv3DTranspose(6, 2, 2)(x))
    x = layers.Concatenate()([first, x])
    return keras.Model(volume, layers.Conv3D(2, 1, activation="softmax")(x))


@net(
    "U-Net, Ronneberger et al. 2015, arXiv:1505.04597",
    framework="keras",
    x=normal("batch", 24, 16, 1),
)
def unet() -> Any:
    """Skips, bilinear upsampling, the class of each pixel."""
    image = layers.Input((24, 16, 1), name="x")
    first = conv(image, 8)
    second = conv(layers.MaxPooling2D()(first), 12)
    x = conv(layers.MaxPooling2D()(second), 16)
    for skip, o in ((second, 12), (first, 8)):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = conv(layers.Concatenate()([skip, x]), o)
    scores = layers.Conv2D(3, 1, activation="softmax")(x)
    return keras.Model(image, [scores, ops.argmax(scores, axis=-1)])


@net(
    "DnCNN, Zhang et al. 2017, arXiv:1608.03981",
    framework="keras",
    x=uniform(0, 1, "batch", "height", "width", 1),
    sizes={"height": 13, "width": 18},
    fast=True,
)
def dncnn() -> Any:
    """The noise is taken off; sizes free."""
    image = layers.Input((None, None, 1), name="x")
    x = conv(image, 10, norm=False)
    for _ in range(3):
        x = conv(x, 10)
    noise = layers.Conv2D(1, 3, padding="same")(x)
    return keras.Model(image, layers.Subtract()([image, noise]))


@net(
    "Convolutional autoencoder, Keras' guide to autoencoders (Chollet 2016)",
    framework="keras",
    x=uniform(0, 1, "batch", 28, 28, 1),
)
def autoencoder() -> Any:
    """Element-wise slopes down, shared ones up."""
    image = layers.Input((28, 28, 1), name="x")
    x = layers.MaxPooling2D(2)(layers.PReLU()(layers.Conv2D(8, 3, padding="same")(image)))
    code = layers.PReLU()(layers.Conv2D(4, 3, 2, padding="same")(x))
    x = prelu()(layers.Conv2DTranspose(8, 3, 2, padding="same")(code))
    x = prelu()(layers.Conv2DTranspose(8, 3, 2, padding="same")(x))
    return keras.Model(image, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


@net(
    "VAE's decoder, Kingma and Welling 2014, arXiv:1312.6114",
    framework="keras",
    z=normal("batch", 6),
)
def vae_decoder() -> Any:
    """From a code to a picture."""
    code = layers.Input((6,), name="z")
    x = layers.PReLU()(layers.Dense(4 * 4 * 12)(code))
    x = layers.Reshape((4, 4, 12))(x)
    x = prelu()(layers.BatchNormalization()(layers.Conv2DTranspose(8, 4, 2, padding="same")(x)))
    x = prelu()(layers.Conv2DTranspose(8, 4, 2, padding="same")(x))
    return keras.Model(code, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


@net("RCAN, Zhang et al. 2018, arXiv:1807.02758", framework="keras", x=normal("batch", 10, 12, 3))
def rcan() -> Any:
    """Attention over channels, group normalisation, residual scaling."""
    image = layers.Input((10, 12, 3), name="x")
    first = x = layers.Conv2D(12, 3, padding="same")(image)
    for _ in range(2):
        y = layers.Conv2D(12, 3, padding="same")(x)
        y = prelu()(layers.GroupNormalization(4)(y))
        gate = layers.GlobalAveragePooling2D()(y)
        gate = layers.Dense(12, activation="sigmoid")(layers.PReLU()(layers.Dense(4)(gate)))
        y = layers.Multiply()([y, layers.Reshape((1, 1, 12))(gate)])
        x = layers.Add()([x, layers.Rescaling(0.5)(y)])
    x = DepthToSpace(2)(layers.Conv2D(12, 3, padding="same")(layers.Add()([first, x])))
    return keras.Model(image, x)
