"""What a model answers: PReLU or not, what its code decides, inputs that reach a slope."""
