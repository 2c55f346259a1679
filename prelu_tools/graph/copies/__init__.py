"""Copies of a graph that run in its place, to observe it."""
