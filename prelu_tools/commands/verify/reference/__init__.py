"""The reference of a check: its runs, its rounding and its randomness."""
