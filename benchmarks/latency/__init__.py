"""Latency of PReLU nets on onnxruntime: this project's file against every peer's."""
