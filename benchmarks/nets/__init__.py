"""The nets of the latency benchmark: published architectures with PReLU, weights from seeds."""
