"""One file for each command: its options, the call, its output."""
