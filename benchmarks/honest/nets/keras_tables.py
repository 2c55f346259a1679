"""Keras: recommendation, graphs, points."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from benchmarks.honest.nets.keras_parts import prelu
from benchmarks.honest.registry import ids, mask, net, normal


@net(
    "Wide and deep, Cheng et al. 2016, arXiv:1606.07792",
    framework="keras",
    numbers=normal("batch", 5),
    country=ids(12, "batch"),
)
def wide_deep() -> Any:
    """Numbers and ids."""
    numbers = layers.Input((5,), name="numbers")
    country = layers.Input((), dtype="int64", name="country")
    x = layers.Concatenate()([numbers, layers.Embedding(12, 4)(country)])
    x = layers.PReLU()(layers.BatchNormalization()(layers.Dense(16)(x)))
    x = layers.PReLU()(layers.Dense(8)(x))
    wide = layers.Embedding(12, 1)(country)
    return keras.Model([numbers, country], ops.sigmoid(layers.Dense(1)(x) + wide))


@net(
    "DIN, Zhou et al. 2018, arXiv:1706.06978",
    framework="keras",
    item=ids(40, "batch"),
    history=ids(40, "batch", 6),
    keep=mask("batch", 6),
)
def din() -> Any:
    """Attention over a masked history of ids."""
    item = layers.Input((), dtype="int64", name="item")
    history = layers.Input((6,), dtype="int64", name="history")
    keep = layers.Input((6,), name="keep")
    table = layers.Embedding(40, 6)
    query, past = table(item), table(history)
    wide = layers.RepeatVector(6)(query)
    x = ops.concatenate([wide, past, wide - past, wide * past], -1)
    scores = layers.Dense(1)(prelu((1,))(layers.Dense(12)(x)))[..., 0]
    weights = ops.softmax(scores + (1 - keep) * -1e9)
    x = ops.concatenate([query, ops.sum(weights[..., None] * past, 1)], -1)
    x = layers.PReLU()(layers.Dense(10)(x))
    return keras.Model([item, history, keep], layers.Dense(1, activation="sigmoid")(x))


@net(
    "GCN, Kipf and Welling 2017, arXiv:1609.02907",
    framework="keras",
    x=normal("batch", 8, 5),
    adjacency=mask("batch", 8, 8),
)
def gcn() -> Any:
    """A batch of graphs; rows of the adjacency sum to 1."""
    nodes = layers.Input((8, 5), name="x")
    links = layers.Input((8, 8), name="adjacency")
    smooth = links / ops.maximum(ops.sum(links, -1, keepdims=True), 1.0)
    x = prelu((1,))(ops.matmul(smooth, layers.Dense(10)(nodes)))
    x = ops.matmul(smooth, layers.Dense(3)(x))
    return keras.Model([nodes, links], ops.log_softmax(x, -1))


@net("PointNet, Qi et al. 2017, arXiv:1612.00593", framework="keras", points=normal("batch", 14, 3))
def pointnet() -> Any:
    """The same dense layers for each point, the maximum over points."""
    points = x = layers.Input((14, 3), name="points")
    for o in (12, 24):
        x = prelu((1,))(layers.BatchNormalization()(layers.Dense(o)(x)))
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.3)(layers.PReLU()(layers.Dense(12)(x)))
    return keras.Model(points, layers.Dense(4, activation="softmax")(x))


@net("Text CNN, Kim 2014, arXiv:1408.5882", framework="keras", tokens=ids(30, "batch", 12))
def text_cnn() -> Any:
    """Ids; three widths of 1-D convolutions."""
    tokens = layers.Input((12,), dtype="int64", name="tokens")
    x = layers.Embedding(30, 6)(tokens)
    parts = [layers.GlobalMaxPooling1D()(prelu((1,))(layers.Conv1D(5, k)(x))) for k in (2, 3, 4)]
    return keras.Model(tokens, layers.Dense(2)(layers.Concatenate()(parts)))


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model of the user's own class: no functional graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = layers.Dense(12), layers.PReLU()
        self.second, self.other = layers.Dense(6), layers.PReLU()
        self.out = layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.other(self.second(self.act(self.first(x)))))


@net(
    "Subclassing, Keras' guide to making layers and models (Chollet)",
    framework="keras",
    x=normal("batch", 7),
)
def subclassed() -> Any:
    """Built by one call, as its users do."""
    import numpy as np

    model = Subclassed()
    model(np.zeros((1, 7), np.float32))
    return model
