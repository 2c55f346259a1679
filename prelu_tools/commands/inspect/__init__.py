"""Show the slopes of a model."""
