"""From a TensorFlow graph to ONNX."""
