"""`.tflite` files, run by LiteRT (TensorFlow Lite)."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.interface import Source
from prelu_tools.backends.litert.source import LiteRTSource
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read a file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is no TensorFlow Lite model.
    """
    return LiteRTSource(path, spelled, options)


def from_object(
    model: object, spelled: str, weights: Path | None, options: SourceOptions
) -> Source:
    """No live object is a `.tflite` file.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"{spelled} is a {type(model).__name__}: expected a path to a .tflite file")
