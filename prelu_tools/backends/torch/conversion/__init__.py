"""From a torch module to ONNX."""
