"""Keras, imported without its messages.

Its backend is the user's choice, otherwise TensorFlow if it is installed, otherwise PyTorch.
"""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import os
from importlib.util import find_spec

from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.backends.quiet import quiet


def _installed_backend() -> str:
    without = find_spec("tensorflow") is None and find_spec("torch") is not None
    return "torch" if without else "tensorflow"


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", _installed_backend())

load_triton_first()
with quiet(show=False):
    import keras

__all__ = ["keras"]
