"""torch modules as they run: watched, in float64, perturbed by rounding."""
