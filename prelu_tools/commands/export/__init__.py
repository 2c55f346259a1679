"""Take a model to ONNX."""
