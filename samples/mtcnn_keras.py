r"""Keras: the three nets of MTCNN, with the weights their authors trained.

The twins of ``mtcnn_torch.py``, which says what the nets do: every weight and each of the 870
slopes is equal bit for bit, so the outputs agree up to rounding. Images are RGB, [N, H, W, 3],
``(x - 127.5) / 128``. On feature maps of odd size PNet's SAME pooling still agrees with torch's
``ceil_mode`` (its windows are 2x2); RNet and ONet have inputs of fixed size.

The weights (MIT licence) are read from an installed package, of which nothing is imported::

    pip install --no-deps mtcnn==1.0.0 && pip install joblib lz4

To try::

    prelu-tools export samples/mtcnn_keras.py:ONet -o build/onet_keras.onnx
    prelu-tools verify samples/mtcnn_keras.py:ONet build/onet_keras.onnx
    prelu-tools inspect build/onet_keras.onnx
    prelu-tools verify samples/mtcnn_keras.py:ONet samples/mtcnn_torch.py:ONet \
        --layout reference=nhwc --layout candidate=nchw
"""

from __future__ import annotations

from importlib import metadata
from pickle import UnpicklingError
from typing import Any

import keras
from keras import layers

_CLASSES_OF_AN_ARRAY = {"joblib.numpy_pickle.NumpyArrayWrapper", "numpy.ndarray", "numpy.dtype"}


def PNet() -> keras.Model:
    """Build the proposal net, fully convolutional, for images of any size from 12x12 on.

    It maps [N, H, W, 3] to boxes [N, h, w, 4] and probabilities [N, h, w, 2], where ``h`` is
    ``ceil((H - 2) / 2) - 4``, and ``w`` likewise.
    """
    image = keras.Input((None, None, 3), name="image")
    x = _conv_prelu(image, 1, 10)
    x = layers.MaxPooling2D(2, 2, padding="same", name="pool1")(x)
    x = _conv_prelu(x, 2, 16)
    x = _conv_prelu(x, 3, 32)
    box = layers.Conv2D(4, 1, name="box")(x)
    probability = layers.Conv2D(2, 1, activation="softmax", name="probability")(x)
    return _trained(keras.Model(image, [box, probability], name="pnet"))


def RNet() -> keras.Model:
    """Build the refinement net: [N, 24, 24, 3] to boxes [N, 4] and probabilities [N, 2]."""
    image = keras.Input((24, 24, 3), name="image")
    x = _conv_prelu(image, 1, 28)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _conv_prelu(x, 2, 48)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = _conv_prelu(x, 3, 64, kernel=2)
    x = _dense_prelu(_flatten_whc(x), 4, 128)
    box = layers.Dense(4, name="box")(x)
    probability = layers.Dense(2, activation="softmax", name="probability")(x)
    return _trained(keras.Model(image, [box, probability], name="rnet"))


def ONet() -> keras.Model:
    """Build the output net.

    It maps [N, 48, 48, 3] to boxes [N, 4], landmarks [N, 10] and probabilities [N, 2].
    """
    image = keras.Input((48, 48, 3), name="image")
    x = _conv_prelu(image, 1, 32)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _conv_prelu(x, 2, 64)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = _conv_prelu(x, 3, 64)
    x = layers.MaxPooling2D(2, 2, padding="same", name="pool3")(x)
    x = _conv_prelu(x, 4, 128, kernel=2)
    x = _dense_prelu(_flatten_whc(x), 5, 256)
    box = layers.Dense(4, name="box")(x)
    landmarks = layers.Dense(10, name="landmarks")(x)
    probability = layers.Dense(2, activation="softmax", name="probability")(x)
    return _trained(keras.Model(image, [box, landmarks, probability], name="onet"))


def _conv_prelu(
    x: keras.KerasTensor, number: int, channels: int, kernel: int = 3
) -> keras.KerasTensor:
    """Append ``conv<number>`` without padding, and ``prelu<number>`` with one slope per channel."""
    x = layers.Conv2D(channels, kernel, name=f"conv{number}")(x)
    return layers.PReLU(shared_axes=[1, 2], name=f"prelu{number}")(x)


def _dense_prelu(x: keras.KerasTensor, number: int, units: int) -> keras.KerasTensor:
    """Append ``dense<number>``, and ``prelu<number>`` with one slope per unit."""
    return layers.PReLU(name=f"prelu{number}")(layers.Dense(units, name=f"dense{number}")(x))


def _flatten_whc(x: keras.KerasTensor) -> keras.KerasTensor:
    """Flatten [N, H, W, C] in the order W, H, C, in which the Dense weights were trained."""
    return layers.Flatten(name="flatten")(layers.Permute((2, 1, 3), name="permute")(x))


def _trained(model: keras.Model) -> keras.Model:
    """Give the model the weights that the package keeps under the model's name.

    Raises:
        ModuleNotFoundError: a package is missing; the message is the pip line.
        pickle.UnpicklingError: the file holds anything but numpy arrays.
    """
    try:
        import joblib.numpy_pickle
        from lz4.frame import LZ4FrameFile

        package = metadata.distribution("mtcnn")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"The weights of MTCNN come with packages that are not installed ({missing.name}): "
            "pip install --no-deps mtcnn==1.0.0 && pip install joblib lz4"
        ) from None

    class ArraysOnly(joblib.numpy_pickle.NumpyUnpickler):
        """joblib's reader, without the calls that a pickle could smuggle in."""

        def find_class(self, module: str, name: str) -> Any:
            """Return one of the classes that make up an array; refuse any other."""
            if f"{module}.{name}" not in _CLASSES_OF_AN_ARRAY:
                raise UnpicklingError(f"{path}: expected numpy arrays only, found {module}.{name}")
            return super().find_class(module, name)

    path = str(package.locate_file(f"mtcnn/assets/weights/{model.name}.lz4"))
    with LZ4FrameFile(path) as file:
        model.set_weights(ArraysOnly(path, file, ensure_native_byte_order=True).load())
    return model
