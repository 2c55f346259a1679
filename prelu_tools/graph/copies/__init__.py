"""Copies of a graph that are run in its place, to look into it."""
