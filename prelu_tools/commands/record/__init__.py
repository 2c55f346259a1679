"""Keep a run of a source as a file that verify takes in its place."""
