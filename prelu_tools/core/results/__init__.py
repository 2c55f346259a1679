"""What the commands return: frozen, complete, and free of any framework."""
