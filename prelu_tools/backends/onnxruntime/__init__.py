"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.graph.io.reader import read_model

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Conversion, Source
    from prelu_tools.core.options import ConversionOptions, SourceOptions


class ConvertibleOnnx(OnnxSource):
    """An ONNX file as given; stand-ins for files that do not run are not of this class."""

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`: the file in its canonical form.

        Raises:
            PReLUToolsError: a slope has two readings, or the file is of a newer opset than wanted.
        """
        from prelu_tools.backends.onnxruntime.canonicalise import canonicalise

        return canonicalise(self, wanted)


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read the skeleton of an ONNX file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is not ONNX.
    """
    return ConvertibleOnnx(path, read_model(path), label, options)
