"""The only home of torch, Keras, TensorFlow and onnxruntime, one folder each."""
