"""Exchange two slopes of a file, as an exporter with a fault does."""

import onnx
from onnx import numpy_helper

model = onnx.load("net.onnx")
slope = next(node.input[1] for node in model.graph.node if node.op_type == "PRelu")
(tensor,) = (t for t in model.graph.initializer if t.name == slope)
values = numpy_helper.to_array(tensor).copy()
values[[1, 4]] = values[[4, 1]]
tensor.CopyFrom(numpy_helper.from_array(values, slope))
onnx.save(model, "swapped.onnx")
