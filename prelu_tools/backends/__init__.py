"""The only home of torch, Keras, TensorFlow and onnxruntime: one file a framework."""
