"""Write every PReLU of a model in its fastest form."""
