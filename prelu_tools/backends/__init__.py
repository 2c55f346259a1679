"""The only home of torch, Keras, TensorFlow and onnxruntime: one folder a framework or runtime."""
