"""What PReLU and its slopes are, in numpy."""
