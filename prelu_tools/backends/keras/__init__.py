"""Keras 3 on TensorFlow: archives and live models; converted by tf2onnx from one trace."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.interface import Source
from prelu_tools.backends.keras import saved
from prelu_tools.backends.keras.framework import keras
from prelu_tools.backends.keras.loading import load_archive
from prelu_tools.backends.keras.source import KerasSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Load a `.keras` archive, an HDF5 file of a whole model, or the folder of a SavedModel.

    Raises:
        PReLUToolsError: Keras cannot load it; the message says how to help.
    """
    _check_backend(spelled)
    if path.is_dir():
        return saved.from_file(path, spelled, options)
    return KerasSource(load_archive(path, options), spelled, options)


def from_object(
    model: object, spelled: str, weights: Path | None, options: SourceOptions
) -> Source:
    """Take a live model, and load its weights where a file is given.

    Raises:
        PReLUToolsError: the weights cannot be read, or do not fit.
    """
    _check_backend(spelled)
    source = KerasSource(model, spelled, options)
    if weights is not None:
        source.load_weights(weights)
    return source


def _check_backend(spelled: str) -> None:
    """A model that Keras runs on torch or jax has no TensorFlow graph to take."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise PReLUToolsError(
            f"{spelled} is run by Keras on its {backend} backend, and TensorFlow's was expected: "
            "set KERAS_BACKEND=tensorflow; a .keras file and its weights are the same for each"
        )
