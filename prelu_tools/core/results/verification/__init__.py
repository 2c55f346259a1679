"""What `verify` returns: frozen, complete, independent of any framework."""
