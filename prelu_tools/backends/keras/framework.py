"""Keras and TensorFlow, imported without a word; the backend is TensorFlow unless it is set."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import os

from prelu_tools.backends.quiet import quiet

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

with quiet(show=False):
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
