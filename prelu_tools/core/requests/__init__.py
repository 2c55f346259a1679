"""What a user may ask of a command: each option declared once, and every way to read it."""
