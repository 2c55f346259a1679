"""What the commands return: frozen, complete, independent of any framework."""
