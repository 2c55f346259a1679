"""Keras models as they run: watched, in float64, moved by rounding."""
