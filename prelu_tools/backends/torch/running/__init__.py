"""torch modules as they run: watched, in float64, moved by rounding."""
