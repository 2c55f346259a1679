"""Facts about a graph."""
