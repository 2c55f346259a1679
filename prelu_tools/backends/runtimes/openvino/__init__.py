"""OpenVINO models (`net.xml` and `net.bin`), and ONNX files that OpenVINO reads."""

from prelu_tools.backends.runtimes.openvino.source import ConvertedOpenVino, OpenVinoSource

from_file, from_onnx = OpenVinoSource, ConvertedOpenVino
