"""Changes to a graph that preserve what it computes."""
