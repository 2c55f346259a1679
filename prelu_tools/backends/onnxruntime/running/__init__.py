"""ONNX models as they run: sessions, and how tensors in them are observed, perturbed and timed."""
