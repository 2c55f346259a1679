"""The reference of a check: its runs, and what they say of rounding and of randomness."""
