"""Quantized candidates: their slopes, their weights, and what their kernels compute."""
