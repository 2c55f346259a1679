"""What PReLU is, in numpy: slopes, statistics, parity, results and errors."""
