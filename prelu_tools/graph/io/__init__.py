"""ONNX files: read within limits, and written whole or not at all."""
