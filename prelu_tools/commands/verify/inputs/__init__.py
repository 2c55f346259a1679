"""What a check runs on: values, sizes and decisions that the reference takes."""
