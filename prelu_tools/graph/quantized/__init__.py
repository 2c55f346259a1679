"""Quantized graphs: what they mean in floating point, and PReLU in 8-bit integers."""
