"""Quantize a model with PReLU to 8-bit integers, and prove what is left."""
