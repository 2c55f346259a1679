"""The parts of a table report: one file a kind of result."""
