"""Keras and TensorFlow files, vetted and loaded."""
