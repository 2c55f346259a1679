"""Keras with TensorFlow, both imported without their messages."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.quiet import quiet

with quiet(show=False):
    import tensorflow as tf

__all__ = ["keras", "tf"]
