"""Keras: its own PReLU against ReLU, in a ConvNet with two blocks that reads digits.

``convnet`` is the net: Conv 32, Conv 64 and Dense 256, each with an activation. Keras' default is
one slope for every *position* of the feature map (element-wise: 25,088 slopes behind the first
convolution); ``shared_axes=(1, 2)`` is one per channel. The slopes scatter around ``alpha_init``,
as they do after training; with ``alpha_spread=0.0`` all are equal to it, as before training.

To try::

    prelu-tools export samples/keras_digits.py:convnet -o build/digits.onnx
    prelu-tools verify samples/keras_digits.py:convnet build/digits.onnx
    prelu-tools inspect build/digits.onnx
    prelu-tools export 'samples/keras_digits.py:convnet(shared_axes=(1, 2))' -o build/channel.onnx
    prelu-tools export 'samples/keras_digits.py:convnet(regularizer=0.001)' -o build/decayed.onnx
    prelu-tools export 'samples/keras_digits.py:convnet(constraint=True)' -o build/positive.onnx
    prelu-tools export 'samples/keras_digits.py:convnet(activation="relu")' -o build/relu.onnx

As a script it trains three nets on real digits, with ReLU and with PReLU from 0 and from 0.25,
compares them, shows the slopes that were learned, and saves the nets and their curves::

    python samples/keras_digits.py --epochs 3 --output-dir build/digits
    prelu-tools export build/digits/prelu_from_025.keras -o build/digits/prelu_from_025.onnx
    prelu-tools inspect build/digits/prelu_from_0.keras build/digits/prelu_from_025.keras
"""

from __future__ import annotations

import argparse
import contextlib
import io
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

Digits = tuple[np.ndarray, np.ndarray]
"""Images, float32 [N, 28, 28, 1] in [0, 1], and their labels, int64 [N]."""


def convnet(
    activation: str = "prelu",
    alpha_init: float = 0.25,
    alpha_spread: float = 0.5,
    shared_axes: Sequence[int] | None = None,
    regularizer: float | None = None,
    constraint: bool = False,
    seed: int = 0,
) -> keras.Model:
    """Build the net: [N, 28, 28, 1] to 10 probabilities, [N, 10].

    Args:
        activation: "prelu", or any activation that Keras knows by name ("relu").
        alpha_init: the slope to start from. He et al. (2015) took 0.25; Keras' default is 0.
        alpha_spread: standard deviation of the slopes around it; to train, take 0.
        shared_axes: axes along which slopes are shared: (1, 2) is one per channel.
        regularizer: factor of the sum of squared slopes in the loss. The paper takes none,
            since weight decay draws the slopes towards ReLU.
        constraint: keep slopes from going below 0.
        seed: of weights and slopes; the weights are the same whatever the activation.
    """
    keras.utils.set_random_seed(seed)

    def act(number: int, axes: Sequence[int] | None = None) -> keras.layers.Layer:
        if activation != "prelu":
            return keras.layers.Activation(activation, name=f"{activation}{number}")
        start = keras.initializers.RandomNormal(alpha_init, alpha_spread, seed=100 * seed + number)
        return keras.layers.PReLU(
            alpha_initializer=start if alpha_spread else keras.initializers.Constant(alpha_init),
            alpha_regularizer=None if regularizer is None else keras.regularizers.L2(regularizer),
            alpha_constraint=keras.constraints.NonNeg() if constraint else None,
            shared_axes=axes,
            name=f"prelu{number}",
        )

    layers = [keras.Input((28, 28, 1), name="image")]
    for number, channels in ((1, 32), (2, 64)):
        layers += [
            keras.layers.Conv2D(channels, 3, padding="same", name=f"conv{number}"),
            act(number, shared_axes),
            keras.layers.MaxPooling2D(2, name=f"pool{number}"),
        ]
    layers += [keras.layers.Flatten(name="flatten"), keras.layers.Dense(256, name="dense3"), act(3)]
    layers += [keras.layers.Dense(10, activation="softmax", name="digit")]
    net = keras.Sequential(layers, name="convnet")
    for layer in _prelus(net):
        if layer.alpha_constraint is not None:  # Keras itself applies it after a training step only
            layer.alpha.assign(layer.alpha_constraint(layer.alpha))
    return net


def load_digits(limit: int | None = None) -> tuple[str, Digits, Digits]:
    """Load real digits: MNIST where Keras has it or gets it, else the 8x8 ones of scikit-learn.

    Args:
        limit: take this many training images at most, and as many test images.

    Returns:
        What was loaded, in words; the training set; the test set.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5.0)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras prints a progress bar
            train, test = keras.datasets.mnist.load_data()
        words = "MNIST (28x28)"
    except Exception:  # Keras raises a bare Exception when the download fails
        train, test = _small_digits()
        words = "scikit-learn's digits (8x8, enlarged to 28x28), since MNIST could not be had"
    finally:
        socket.setdefaulttimeout(before)
    train, test = (_prepared(images, labels, limit) for images, labels in (train, test))
    return f"{words}: {len(train[1])} to train on, {len(test[1])} to test on", train, test


def _small_digits() -> tuple[Digits, Digits]:
    """Return scikit-learn's digits, uint8 [N, 28, 28]: each pixel 3x3 times, a border of 2."""
    from sklearn.datasets import load_digits as load_small
    from sklearn.model_selection import train_test_split

    images, labels = load_small(return_X_y=True)
    images = np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = np.pad(np.kron(images, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    return (train, train_labels), (test, test_labels)


def _prepared(images: np.ndarray, labels: np.ndarray, limit: int | None) -> Digits:
    """Bring uint8 [N, 28, 28] into the shape and range that the net takes."""
    images = images[:limit, :, :, np.newaxis].astype(np.float32) / 255
    return images, labels[:limit].astype(np.int64)


class _Clock(keras.callbacks.Callback):
    """Note how long each epoch takes, test included, in seconds."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


@dataclass(frozen=True)
class Run:
    """One net after training."""

    name: str
    """What tells it from the others, in words."""
    net: keras.Model
    """The trained net."""
    curves: dict[str, list[float]]
    """Per epoch, as Keras names them: loss, accuracy, val_loss, val_accuracy (val is test)."""
    seconds: float
    """Seconds per epoch, the median; the first epoch, which compiles, counts only if alone."""


def train(name: str, net: keras.Model, data: tuple[Digits, Digits], epochs: int) -> Run:
    """Train ``net`` with Adam on the first of ``data``, with the second as the test set."""
    clock = _Clock()
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fitted = net.fit(
        *data[0],
        validation_data=data[1],
        batch_size=64,
        epochs=epochs,
        callbacks=[clock],
        verbose=0,
    )
    return Run(name, net, fitted.history, statistics.median(clock.seconds[1:] or clock.seconds))


def results_table(runs: Sequence[Run]) -> str:
    """Return test loss, test accuracy and seconds per epoch of the runs, a row each."""
    rows = [f"{'':<18}{'test loss':>12}{'accuracy':>12}{'s / epoch':>12}"]
    for run in runs:
        loss, accuracy = run.curves["val_loss"][-1], run.curves["val_accuracy"][-1]
        rows.append(f"{run.name:<18}{loss:>12.4f}{accuracy:>12.2%}{run.seconds:>12.2f}")
    return "\n".join(rows)


def slopes_table(runs: Sequence[Run]) -> str:
    """Return the slopes of the runs' PReLU layers, a row a layer; ``std`` is with n - 1."""
    heads = ("slopes", "mean", "std", "min", "max", "below 0")
    rows = [f"{'learned':<18}{'layer':<8}" + "".join(f"{head:>10}" for head in heads)]
    for run in runs:
        for layer in _prelus(run.net):
            slopes = layer.get_weights()[0]
            numbers = (slopes.mean(), slopes.std(ddof=1), slopes.min(), slopes.max())
            rows.append(
                f"{run.name:<18}{layer.name:<8}{slopes.size:>10,}"
                + "".join(f"{number:>10.4f}" for number in numbers)
                + f"{(slopes < 0).mean():>10.1%}"
            )
    return "\n".join(rows)


def _prelus(net: keras.Model) -> list[keras.layers.PReLU]:
    """Return the PReLU layers of the net, input first."""
    return [layer for layer in net.layers if isinstance(layer, keras.layers.PReLU)]


def plot_curves(runs: Sequence[Run], title: str, path: Path) -> None:
    """Write loss and accuracy over the epochs to ``path``, a PNG; needs no display."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for run, color in zip(runs, ("tab:gray", "tab:blue", "tab:orange"), strict=True):
            epochs = range(1, len(run.curves[key]) + 1)
            axes.plot(epochs, run.curves[f"val_{key}"], "o-", color=color, label=run.name, ms=4)
            axes.plot(epochs, run.curves[key], ".--", color=color, alpha=0.7, lw=1)
        axes.plot([], [], "ko-", label="test", ms=4)
        axes.plot([], [], "k.--", lw=1, label="training (mean over the epoch)")
        axes.set(xlabel="epoch", xlim=(0.8, len(epochs) + 0.2))
        axes.set_title("cross-entropy" if key == "loss" else "accuracy")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if key == "loss":
            axes.set_ylim(bottom=0)
            axes.legend(fontsize=9, frameon=False)
        else:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    figure.savefig(path, dpi=150)


def _count(text: str) -> int:
    """Read a number of at least 1 from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, found {text}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the three nets, print the comparison, save nets and curves; return 0."""
    parser = argparse.ArgumentParser(description="Train ReLU and PReLU nets on digits.")
    parser.add_argument("--epochs", type=_count, default=3, help="epochs a net (default 3)")
    parser.add_argument("--output-dir", type=Path, required=True, help="where the files go")
    parser.add_argument("--limit", type=_count, help="use at most so many images")
    options = parser.parse_args(arguments)
    options.output_dir.mkdir(parents=True, exist_ok=True)

    words, *data = load_digits(options.limit)
    print(words, end="\n\n", flush=True)
    nets = {
        "relu": ("ReLU", convnet(activation="relu")),
        "prelu_from_0": ("PReLU from 0", convnet(alpha_init=0.0, alpha_spread=0.0)),
        "prelu_from_025": ("PReLU from 0.25", convnet(alpha_init=0.25, alpha_spread=0.0)),
    }
    runs = []
    for file, (name, net) in nets.items():
        runs.append(train(name, net, (data[0], data[1]), options.epochs))
        net.save(options.output_dir / f"{file}.keras")
    plot_curves(runs, words, options.output_dir / "curves.png")
    print(results_table(runs), end="\n\n")
    print(slopes_table(runs[1:]), end="\n\n")
    print(f"The nets (.keras) and their curves (curves.png) are in {options.output_dir}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
