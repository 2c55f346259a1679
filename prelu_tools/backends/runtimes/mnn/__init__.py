"""MNN models (`net.mnn`), and ONNX files that MNN's converter reads."""

from prelu_tools.backends.runtimes.mnn.source import ConvertedMnn, MnnSource

from_file, from_onnx = MnnSource, ConvertedMnn
