"""Record a run of a source in a file that `verify` accepts in its place."""
