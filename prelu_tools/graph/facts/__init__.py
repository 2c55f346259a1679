"""What can be read off a graph."""
