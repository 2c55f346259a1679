"""Keras 3: archives and live models, as Keras runs them: on TensorFlow, or on PyTorch.

On TensorFlow a model is converted by tf2onnx, from one trace; on PyTorch by torch.onnx.
"""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.keras.files.loading import Keras2FileError, load_archive
from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Load a `.keras` archive, or an HDF5 file of a whole model.

    Raises:
        PReLUToolsError: Keras cannot load it; the message says how to help.
    """
    try:
        return from_object(load_archive(path, options), label, None, options)
    except Keras2FileError:
        if keras.backend.backend() != "tensorflow":
            raise
        from prelu_tools.backends.keras.files import keras2

        if not keras2.can_load():
            raise
        return keras2.from_file(path, label, options)


def from_object(model: object, label: str, weights: Path | None, options: SourceOptions) -> Source:
    """Take a live model, and load its weights where a file is given.

    Raises:
        PReLUToolsError: the weights cannot be read, or do not fit.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        from prelu_tools.backends.keras.on_torch import KerasTorchSource

        return KerasTorchSource(model, label, options, weights)
    if backend == "tensorflow":
        from prelu_tools.backends.keras.source import KerasSource

        source = KerasSource(model, label, options)
        if weights is not None:
            source.load_weights(weights)
        return source
    raise PReLUToolsError(
        f"{label} uses Keras' {backend} backend; expected TensorFlow or PyTorch: set "
        "KERAS_BACKEND=tensorflow or KERAS_BACKEND=torch; a .keras file and its weights work "
        "with every backend"
    )
