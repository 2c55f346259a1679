"""Runtimes other than onnxruntime, one folder each, and what they share: a file read as a graph."""
