"""What each form of PReLU costs in onnxruntime-web's WebAssembly build."""
