"""ONNX models as they run: sessions, and what is seen, moved and timed in them."""
