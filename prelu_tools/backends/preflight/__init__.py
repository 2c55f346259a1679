"""What can be said of a source before anything is imported to read it."""
