"""torch's files, vetted and loaded."""
