"""Honest nets as people build them, and what `verify` makes of them; attacks on the same nets."""
