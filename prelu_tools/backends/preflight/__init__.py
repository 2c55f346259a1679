"""Check a source before anything is imported to read it."""
