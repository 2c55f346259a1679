"""`.tflite` files, run by LiteRT (TensorFlow Lite)."""

from prelu_tools.backends.runtimes.litert.source import LiteRTSource

from_file = LiteRTSource
