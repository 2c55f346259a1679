"""Keras: sound, sequences, forecasts."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from benchmarks.honest.nets.keras_parts import prelu
from benchmarks.honest.registry import net, normal


@net(
    "TCN, Bai et al. 2018, arXiv:1803.01271",
    framework="keras",
    x=normal("batch", "time", 4),
    sizes={"time": 24},
    fast=True,
)
def tcn() -> Any:
    """Causal, dilated 1-D convolutions; the time is free."""
    series = layers.Input((None, 4), name="x")
    x = layers.Conv1D(10, 1)(series)
    for d in (1, 2, 4):
        y = prelu((1,))(layers.Conv1D(10, 3, padding="causal", dilation_rate=d)(x))
        y = prelu((1,))(layers.Conv1D(10, 3, padding="causal", dilation_rate=d)(y))
        x = prelu((1,))(layers.Add()([x, y]))
    return keras.Model(series, layers.Dense(3)(x))


@net(
    "Conv-TasNet, Luo and Mesgarani 2019, arXiv:1809.07454",
    framework="keras",
    mixture=normal("batch", 320, 1),
)
def tasnet() -> Any:
    """Layer norms over channels and time, depthwise 1-D convolutions, masks."""
    wave = layers.Input((320, 1), name="mixture")
    latent = layers.Conv1D(16, 16, 8, padding="same", activation="relu")(wave)
    x = layers.Conv1D(10, 1)(layers.LayerNormalization(axis=[1, 2])(latent))
    for d in (1, 2, 4):
        y = layers.LayerNormalization(axis=[1, 2])(prelu((1, 2))(layers.Conv1D(16, 1)(x)))
        y = layers.Conv1D(16, 3, dilation_rate=d, padding="same", groups=1)(y)
        x = layers.Add()([x, layers.Conv1D(10, 1)(prelu((1, 2))(y))])
    mask = layers.Conv1D(16, 1, activation="sigmoid")(prelu((1, 2))(x))
    voice = layers.Conv1DTranspose(1, 16, 8, padding="same")(layers.Multiply()([latent, mask]))
    return keras.Model(wave, voice)


@net(
    "LSTM, Hochreiter and Schmidhuber 1997; TimeDistributed head",
    framework="keras",
    x=normal("batch", 12, 5),
)
def lstm() -> Any:
    """A stacked LSTM, a PReLU for each step and channel."""
    series = layers.Input((12, 5), name="x")
    x = layers.LSTM(10, return_sequences=True)(series)
    x = layers.PReLU()(layers.TimeDistributed(layers.Dense(8))(x))
    x = layers.LSTM(6)(x)
    return keras.Model(series, layers.Dense(2)(layers.PReLU()(layers.Dense(8)(x))))


@net(
    "GRU, Cho et al. 2014, arXiv:1406.1078, in both directions",
    framework="keras",
    x=normal("batch", 10, 4),
)
def gru() -> Any:
    """Bidirectional; softmax."""
    series = layers.Input((10, 4), name="x")
    x = layers.Bidirectional(layers.GRU(7))(series)
    x = layers.PReLU()(layers.BatchNormalization()(layers.Dense(12)(x)))
    return keras.Model(series, layers.Dense(4, activation="softmax")(x))


@net(
    "Transformer, Vaswani et al. 2017, arXiv:1706.03762",
    framework="keras",
    x=normal("batch", 9, 12),
)
def transformer() -> Any:
    """`MultiHeadAttention`, LayerNorm, PReLU shared over the steps."""
    series = layers.Input((9, 12), name="x")
    x = layers.LayerNormalization()(series)
    x = layers.Add()([series, layers.MultiHeadAttention(3, 4)(x, x)])
    y = layers.Dense(20)(layers.LayerNormalization()(x))
    y = layers.Dense(12)(layers.Dropout(0.1)(prelu((1,))(y)))
    x = layers.GlobalAveragePooling1D()(layers.Add()([x, y]))
    return keras.Model(series, layers.Dense(3)(x))


@net("N-BEATS, Oreshkin et al. 2020, arXiv:1905.10437", framework="keras", x=normal("batch", 16))
def nbeats() -> Any:
    """Blocks that explain the past away and add up a forecast."""
    past = x = layers.Input((16,), name="x")
    forecasts = []
    for _ in range(3):
        y = layers.PReLU()(layers.Dense(20)(x))
        y = layers.PReLU()(layers.Dense(20)(y))
        x = layers.Subtract()([x, layers.Dense(16)(y)])
        forecasts.append(layers.Dense(5)(y))
    return keras.Model(past, layers.Add()(forecasts))


@net(
    "MLP-Mixer, Tolstikhin et al. 2021, arXiv:2105.01601",
    framework="keras",
    x=normal("batch", 16, 16, 3),
)
def mixer() -> Any:
    """Patches, dense layers over tokens and over channels."""
    image = layers.Input((16, 16, 3), name="x")
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 4, 4)(image))
    for _ in range(2):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        y = layers.Dense(16)(prelu((1,))(layers.Dense(20)(y)))
        x = layers.Add()([x, layers.Permute((2, 1))(y)])
        y = layers.Dense(12)(prelu((1,))(layers.Dense(24)(layers.LayerNormalization()(x))))
        x = layers.Add()([x, y])
    return keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


@net(
    "Log-likelihood heads, Salinas et al. 2020, arXiv:1704.04110",
    framework="keras",
    x=normal("batch", 10),
)
def gaussian() -> Any:
    """A mean, a softplus, an exponential."""
    row = layers.Input((10,), name="x")
    x = layers.PReLU()(layers.Dense(16)(row))
    x = layers.PReLU()(layers.Dense(16)(x))
    spread = ops.softplus(layers.Dense(2)(x)) + 1e-6
    return keras.Model(row, [layers.Dense(2)(x), spread, ops.exp(layers.Dense(2)(x))])
