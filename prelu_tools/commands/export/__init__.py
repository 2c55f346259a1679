"""Convert a model to ONNX."""
