"""Broken and hostile files by the thousand: what `make fuzz-files` and `make fuzz` run."""
