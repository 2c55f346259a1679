"""Keras: faces, classification, detection."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from benchmarks.honest.nets.keras_parts import conv, prelu
from benchmarks.honest.registry import net, normal, uniform


@net(
    "MobileFaceNets, Chen et al. 2018, arXiv:1804.07573",
    framework="keras",
    x=normal("batch", 32, 32, 3),
)
def mobilefacenet() -> Any:
    """Depthwise convolutions and an embedding of length 1."""
    image = layers.Input((32, 32, 3), name="x")
    x = conv(image, 12, 3, 2)
    for wide, s in ((24, 2), (32, 1)):
        y = conv(x, wide, 1)
        y = prelu()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, s, padding="same")(y)))
        y = conv(y, 12, 1, act=False)
        x = layers.Add()([x, y]) if s == 1 else y
    x = layers.DepthwiseConv2D(8, use_bias=False)(conv(x, 32, 1))
    x = layers.Dense(16, use_bias=False)(layers.Flatten()(layers.BatchNormalization()(x)))
    x = layers.UnitNormalization()(layers.BatchNormalization()(x))
    return keras.Model(image, x)


@net(
    "MTCNN's PNet, Zhang et al. 2016, arXiv:1604.02878",
    framework="keras",
    x=uniform(-1, 1, "batch", "height", "width", 3),
    sizes={"height": 24, "width": 30},
    fast=True,
)
def pnet() -> Any:
    """Fully convolutional, sizes free."""
    image = layers.Input((None, None, 3), name="x")
    x = prelu()(layers.Conv2D(10, 3)(image))
    x = layers.MaxPooling2D(2, 2, padding="same")(x)
    x = prelu()(layers.Conv2D(16, 3)(x))
    x = prelu()(layers.Conv2D(32, 3)(x))
    face = layers.Conv2D(2, 1, activation="softmax", name="face")(x)
    return keras.Model(image, [layers.Conv2D(4, 1, name="box")(x), face])


@net(
    "MTCNN's ONet, Zhang et al. 2016, arXiv:1604.02878",
    framework="keras",
    x=uniform(-1, 1, "batch", 48, 48, 3),
)
def onet() -> Any:
    """Flattened width first; a dict of outputs."""
    image = x = layers.Input((48, 48, 3), name="x")
    for o, k, pool in ((16, 3, 3), (24, 3, 3), (24, 3, 2)):
        x = prelu()(layers.Conv2D(o, k)(x))
        x = layers.MaxPooling2D(pool, 2, padding="same")(x)
    x = prelu()(layers.Conv2D(32, 2)(x))
    x = layers.Flatten()(layers.Permute((2, 1, 3))(x))
    x = layers.PReLU()(layers.Dense(40)(x))
    return keras.Model(image, {"box": layers.Dense(4)(x), "marks": layers.Dense(10)(x),
                               "face": layers.Dense(2, activation="softmax")(x)})  # fmt: skip


@net(
    "LeNet as in Keras' guide to MNIST, with PReLU as it is by default",
    framework="keras",
    x=uniform(0, 1, "batch", 28, 28, 1),
    fast=True,
)
def digits() -> Any:
    """A slope for each element."""
    image = layers.Input((28, 28, 1), name="x")
    x = layers.MaxPooling2D()(layers.PReLU()(layers.Conv2D(6, 5)(image)))
    x = layers.MaxPooling2D()(layers.PReLU()(layers.Conv2D(10, 3)(x)))
    x = layers.Dropout(0.3)(layers.PReLU()(layers.Dense(32)(layers.Flatten()(x))))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


@net(
    "SE-ResNet, Hu et al. 2018, arXiv:1709.01507, odd sizes",
    framework="keras",
    x=normal("batch", 21, 19, 3),
)
def se_resnet() -> Any:
    """`same` padding with strides of 2 on odd sizes."""
    image = layers.Input((21, 19, 3), name="x")
    x = conv(image, 12)
    for o, s in ((12, 1), (20, 2), (20, 2)):
        y = conv(conv(x, o, 3, s), o, act=False)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
        gate = layers.Conv2D(o, 1, activation="sigmoid")(prelu()(layers.Conv2D(4, 1)(gate)))
        y = layers.Multiply()([y, gate])
        x = prelu()(layers.Add()([x if s == 1 else conv(x, o, 1, s, act=False), y]))
    return keras.Model(image, layers.Dense(7)(layers.GlobalAveragePooling2D()(x)))


@net("Xception, Chollet 2017, arXiv:1610.02357", framework="keras", x=normal("batch", 24, 24, 3))
def xception() -> Any:
    """Separable convolutions."""
    image = layers.Input((24, 24, 3), name="x")
    x = conv(image, 12, 3, 2)
    y = prelu()(layers.BatchNormalization()(layers.SeparableConv2D(16, 3, padding="same")(x)))
    y = layers.BatchNormalization()(layers.SeparableConv2D(16, 3, padding="same")(y))
    y = layers.MaxPooling2D(3, 2, padding="same")(y)
    x = prelu()(layers.Add()([y, conv(x, 16, 1, 2, act=False)]))
    return keras.Model(image, layers.Dense(9, activation="softmax")(
        layers.GlobalMaxPooling2D()(x)))  # fmt: skip


@net(
    "DenseNet, Huang et al. 2017, arXiv:1608.06993", framework="keras", x=normal("batch", 16, 16, 3)
)
def densenet() -> Any:
    """Norm and PReLU first; maps of 16 channels on 16 by 16 pixels."""
    image = layers.Input((16, 16, 3), name="x")
    x = layers.Conv2D(16, 3, padding="same")(image)
    for _ in range(3):
        y = prelu()(layers.BatchNormalization()(x))
        x = layers.Concatenate()([x, layers.Conv2D(8, 3, padding="same")(y)])
    x = layers.AveragePooling2D(2)(prelu()(layers.BatchNormalization()(x)))
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))


@net(
    "Siamese nets, Koch et al. 2015 (ICML workshop)",
    framework="keras",
    left=normal("batch", 20, 20, 1),
    right=normal("batch", 20, 20, 1),
)
def siamese() -> Any:
    """A model inside a model, called twice."""
    inner = keras.Sequential([
        layers.Input((20, 20, 1)), layers.Conv2D(6, 5), prelu(), layers.MaxPooling2D(),
        layers.Conv2D(8, 3), prelu(), layers.Flatten(), layers.Dense(16), layers.PReLU(),
    ])  # fmt: skip
    left = layers.Input((20, 20, 1), name="left")
    right = layers.Input((20, 20, 1), name="right")
    distance = ops.abs(inner(left) - inner(right))
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(distance))


@net(
    "YOLOv3, Redmon and Farhadi 2018, arXiv:1804.02767",
    framework="keras",
    x=uniform(0, 1, "batch", 32, 32, 3),
)
def yolo() -> Any:
    """Boxes in pixels beside scores, decoded in the graph."""
    import numpy as np

    image = layers.Input((32, 32, 3), name="x")
    x = conv(conv(conv(image, 8, 3, 2), 12, 3, 2), 16, 3, 2)
    raw = layers.Reshape((16, 2, 8))(layers.Conv2D(16, 1)(x))
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(1, 16, 1, 2)
    anchors = np.array([[8, 10], [20, 16]], np.float32).reshape(1, 1, 2, 2)
    centre = (ops.sigmoid(raw[..., :2]) + grid.astype(np.float32)) * 8.0
    extent = ops.exp(raw[..., 2:4]) * anchors
    boxes = ops.concatenate([centre, extent, ops.sigmoid(raw[..., 4:])], -1)
    return keras.Model(image, layers.Reshape((32, 8))(boxes))


@net(
    "Stacked hourglass, Newell et al. 2016, arXiv:1603.06937",
    framework="keras",
    x=normal("batch", 24, 24, 3),
)
def heatmaps() -> Any:
    """Keypoints: a heatmap, and the place of its largest value."""
    image = layers.Input((24, 24, 3), name="x")
    first = conv(image, 8)
    x = conv(conv(layers.MaxPooling2D()(first), 12), 8)
    x = layers.Add()([first, layers.UpSampling2D(interpolation="nearest")(x)])
    heat = layers.Conv2D(4, 1, name="heat")(prelu()(x))
    flat = layers.Reshape((24 * 24, 4))(heat)
    return keras.Model(image, [heat, ops.argmax(flat, axis=1), ops.max(flat, axis=1)])
