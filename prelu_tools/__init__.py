"""Take models with PReLU to ONNX, prove that every slope arrived, and show what was learned."""

__version__ = "0.1.0"
