"""Whether tensors are the same, and what rounding may do to them."""
