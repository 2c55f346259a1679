"""Keras: a PReLU layer written by hand with ``tf.where``, one learned slope per layer.

Four nets, from the plainest to the one that hides its slope best:

* ``sequential_net``: three such layers, behind convolutions (rank 4) and a Dense layer (rank 2);
* ``decayed_net``: trained for a moment in a loop of its own, with weight decay on the slopes;
* ``article_net``: the class as articles show it. The live model exports, but Keras cannot load
  the ``.keras`` file that it saves;
* ``shared_instance_net``: one layer instance in two places, so one slope and two PRelu nodes.

To try::

    prelu-tools export samples/keras_where.py:sequential_net -o build/sequential.onnx
    prelu-tools verify samples/keras_where.py:sequential_net build/sequential.onnx
    prelu-tools inspect build/sequential.onnx
    prelu-tools export 'samples/keras_where.py:decayed_net(decay=0.01)' -o build/decayed.onnx
    prelu-tools export samples/keras_where.py:article_net -o build/article.onnx
    prelu-tools export samples/keras_where.py:shared_instance_net -o build/shared_instance.onnx
    prelu-tools inspect build/shared_instance.onnx

A model saved as ``net.keras`` comes back with its class::

    prelu-tools export net.keras --custom-objects samples/keras_where.py:LearnedSlope -o net.onnx
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="samples")
class LearnedSlope(keras.layers.Layer):
    """PReLU with one slope for the whole layer: ``x`` if ``x >= 0``, else ``alpha * x``.

    Formula: He et al., "Delving Deep into Rectifiers" (2015), equation 1, channel-shared.
    Takes and returns a tensor of any shape; ``alpha`` is a scalar.
    """

    def __init__(self, initial_slope: float = 0.25, **kwargs: Any) -> None:
        """Keep the slope to start from; ``kwargs`` (name, dtype, ...) go to Keras."""
        super().__init__(**kwargs)
        self.initial_slope = initial_slope

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slope, a trainable scalar."""
        start = keras.initializers.Constant(self.initial_slope)
        self.alpha = self.add_weight(name="alpha", shape=(), initializer=start)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply the activation; the shape stays."""
        return tf.where(x >= 0, x, self.alpha * x)

    def get_config(self) -> dict[str, Any]:
        """Return what ``__init__`` needs, Keras' own entries included, so that a file loads."""
        return {**super().get_config(), "initial_slope": self.initial_slope}


class ArticleSlope(keras.layers.Layer):
    """The same activation as articles show it; its slope has the shape ``(1,)``.

    ``__init__`` takes no ``**kwargs``, so it refuses the ``trainable`` and ``dtype`` that Keras
    writes into every saved configuration: the model saves, and the file cannot be loaded.
    """

    def __init__(self, name: str, initial_slope: float = 0.25) -> None:
        """Keep the slope to start from."""
        super().__init__(name=name)
        self.initial_slope = initial_slope

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slope, a trainable vector of one."""
        start = keras.initializers.Constant(self.initial_slope)
        self.alpha = self.add_weight(name="alpha", shape=(1,), initializer=start)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply the activation; the shape stays."""
        return tf.where(x >= 0, x, self.alpha * x)


def sequential_net(slopes: Sequence[float] = (-0.31, 0.17, 1.23), seed: int = 0) -> keras.Model:
    """Build a Sequential net for 16x16x3 images with the three given slopes; 10 outputs."""
    keras.utils.set_random_seed(seed)
    first, second, third = slopes
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            keras.layers.Conv2D(8, 3, padding="same", name="conv1"),
            LearnedSlope(first, name="prelu1"),
            keras.layers.Conv2D(16, 3, strides=2, name="conv2"),
            LearnedSlope(second, name="prelu2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(32, name="dense3"),
            LearnedSlope(third, name="prelu3"),
            keras.layers.Dense(10, name="scores"),
        ],
        name="sequential_net",
    )


def decayed_net(decay: float = 1e-3, steps: int = 100, seed: int = 0) -> keras.Model:
    """Train a net from 8 numbers to 1 for some steps, with weight decay on its two slopes.

    Args:
        decay: factor of the sum of squared slopes in the loss; nothing else decays.
        steps: number of training steps, of 64 seeded examples each.
        seed: of the weights and of the examples.

    Returns:
        The trained net. Its target is all but even, ``f(-x) = f(x)``, which draws slopes below 0.
    """
    keras.utils.set_random_seed(seed)
    net = keras.Sequential(
        [
            keras.Input((8,), name="features"),
            keras.layers.Dense(24, name="dense1"),
            LearnedSlope(name="prelu1"),
            keras.layers.Dense(24, name="dense2"),
            LearnedSlope(name="prelu2"),
            keras.layers.Dense(1, name="score"),
        ],
        name="decayed_net",
    )
    slopes = [layer.alpha for layer in net.layers if isinstance(layer, LearnedSlope)]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(net.trainable_variables)

    @tf.function
    def step(x: tf.Tensor) -> None:
        target = tf.reduce_sum(tf.abs(x), axis=1, keepdims=True) + 0.2 * x[:, :1]
        with tf.GradientTape() as tape:
            error = tf.reduce_mean(tf.square(net(x, training=True) - target))
            loss = error + decay * tf.add_n([tf.square(slope) for slope in slopes])
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))

    draw = np.random.default_rng(seed)
    for _ in range(steps):
        step(tf.constant(draw.standard_normal((64, 8)), tf.float32))
    return net


def article_net(slopes: Sequence[float] = (0.42, -0.08), seed: int = 0) -> keras.Model:
    """Build a Sequential net for 12x12x1 images out of the articles' class; 4 outputs."""
    keras.utils.set_random_seed(seed)
    first, second = slopes
    return keras.Sequential(
        [
            keras.Input((12, 12, 1), name="image"),
            keras.layers.Conv2D(6, 3, name="conv1"),
            ArticleSlope("prelu1", first),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(12, name="dense2"),
            ArticleSlope("prelu2", second),
            keras.layers.Dense(4, name="scores"),
        ],
        name="article_net",
    )


def shared_instance_net(slope: float = -0.27, seed: int = 0) -> keras.Model:
    """Build a Functional net for 12x12x3 images that uses one layer instance twice; 5 outputs.

    ``act`` follows the convolution (rank 4) and the Dense layer (rank 2), with one slope.
    """
    keras.utils.set_random_seed(seed)
    act = LearnedSlope(slope, name="act")
    image = keras.Input((12, 12, 3), name="image")
    x = act(keras.layers.Conv2D(8, 3, strides=2, name="conv1")(image))
    x = keras.layers.Flatten(name="flatten")(x)
    x = act(keras.layers.Dense(16, name="dense2")(x))
    scores = keras.layers.Dense(5, name="scores")(x)
    return keras.Model(image, scores, name="shared_instance_net")
