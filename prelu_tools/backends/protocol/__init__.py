"""What a source offers to the commands, and the data that it passes to them."""
