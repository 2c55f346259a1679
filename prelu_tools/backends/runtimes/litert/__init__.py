"""`.tflite` files, run by LiteRT (TensorFlow Lite)."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.runtimes.litert.source import LiteRTSource
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read a file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is no TensorFlow Lite model.
    """
    return LiteRTSource(path, spelled, options)
