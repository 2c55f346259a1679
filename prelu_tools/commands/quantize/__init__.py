"""Quantize a model with PReLU to 8-bit integers, and measure what it costs in accuracy."""
