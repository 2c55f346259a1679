"""ncnn models (`net.param` and `net.bin`), and ONNX files that pnnx converts for it."""

from prelu_tools.backends.runtimes.ncnn.source import ConvertedNcnn, NcnnSource

from_file, from_onnx = NcnnSource, ConvertedNcnn
