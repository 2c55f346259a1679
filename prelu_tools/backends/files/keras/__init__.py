"""Keras' own files, read without Keras."""
