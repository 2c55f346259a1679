"""A Keras 2 file, converted by the package `tf_keras` to a SavedModel."""

from __future__ import annotations

import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prelu_tools.backends.keras.files.loading import Keras2FileError, custom_objects
from prelu_tools.backends.keras.files.saved import SavedModelSource, load
from prelu_tools.backends.keras.framework import keras
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.errors import one_line
from prelu_tools.core.options import SourceOptions


def can_load() -> bool:
    """Whether Keras 2 is installed and models run on TensorFlow."""
    return keras.backend.backend() == "tensorflow" and find_spec("tf_keras") is not None


def from_file(path: Path, label: str, options: SourceOptions) -> SavedModelSource:
    """Load a `.keras` or `.h5` file that was looked at before (`loading.load_archive`).

    Raises:
        Keras2FileError: Keras 2 cannot load it either.
    """
    objects = custom_objects(options.custom_objects)
    safe = {} if path.suffix == ".h5" else {"safe_mode": not options.allow_unsafe_load}
    try:
        with quiet(options.show_chatter), tempfile.TemporaryDirectory() as folder:
            models: Any = import_module("tf_keras").models
            model = models.load_model(path, custom_objects=objects, compile=False, **safe)
            model.export(folder)
            return SavedModelSource(load(Path(folder), options), label, options)
    except Exception as error:
        detail = one_line(error)
        raise Keras2FileError(
            f"{path} is a Keras 2 file, and tf_keras cannot load it ({type(error).__name__}: "
            f"{detail})"
        ) from error
