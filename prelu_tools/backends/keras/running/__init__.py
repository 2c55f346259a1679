"""Keras models as they run: watched, in float64, perturbed by rounding."""
