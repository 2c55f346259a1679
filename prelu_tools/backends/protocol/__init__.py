"""What a source offers to the commands, and what it hands over: inputs, calls, outputs."""
