"""What the backends of runtimes share: a file read as a graph, run by its own runtime."""
