"""One candidate, run and judged."""
