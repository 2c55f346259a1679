"""One file for each command: its options, the call, what is shown."""
