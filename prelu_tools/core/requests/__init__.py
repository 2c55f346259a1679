"""Options of commands: each declared once, and every way to read it."""
