"""int8: PReLU in integers, plain quantization of PRelu nodes, and the bounds of ReLU."""
