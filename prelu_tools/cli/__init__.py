"""Parse, call, render, exit."""
