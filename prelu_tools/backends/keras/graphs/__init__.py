"""A Keras model as one flat TensorFlow graph."""
