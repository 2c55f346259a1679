"""PReLU found in a graph by what it computes."""
