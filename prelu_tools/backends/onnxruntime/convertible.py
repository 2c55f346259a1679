"""An ONNX file as a source that can be converted: to its own canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prelu_tools.backends.onnxruntime.source import OnnxSource

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Conversion
    from prelu_tools.core.options import ConversionOptions


class ConvertibleOnnx(OnnxSource):
    """An ONNX file as given; stand-ins for files that do not run are not of this class."""

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`: the file in its canonical form.

        Raises:
            PReLUToolsError: a slope has two readings, or the file is of a newer opset than wanted.
        """
        from prelu_tools.backends.onnxruntime.canonicalise import canonicalise

        return canonicalise(self, wanted)
