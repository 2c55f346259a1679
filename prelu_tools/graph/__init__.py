"""ONNX graphs: read without their weights, recognise PReLU, rewrite, write."""
