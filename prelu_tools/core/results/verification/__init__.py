"""What `verify` returns: frozen, complete, and free of any framework."""
