"""The inputs of a check: values, sizes and decisions that the reference accepts."""
