"""A graph as the recogniser needs it: who makes a tensor, who uses it, what is constant."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import onnx
from onnx import shape_inference

from prelu_tools.core.slopes import Shape
from prelu_tools.graph.reader import OnnxModel


class GraphView:
    """Look-ups over the main graph of a model; it changes nothing."""

    def __init__(self, model: OnnxModel) -> None:
        """Index the nodes and initializers of `model`."""
        self.model = model
        self.graph = model.proto.graph
        self.producer = {name: node for node in self.graph.node for name in node.output if name}
        self.initializers = {tensor.name: tensor for tensor in self.graph.initializer}
        self.inputs = {value.name for value in self.graph.input} - set(self.initializers)

    @cached_property
    def uses(self) -> Counter[str]:
        """How often each tensor is used; as an output of the graph too."""
        used = Counter(name for node in self.graph.node for name in node.input if name)
        used.update(value.name for value in self.graph.output)
        return used

    @cached_property
    def _types(self) -> dict[str, onnx.TypeProto]:
        try:
            graph = shape_inference.infer_shapes(self.model.proto).graph
        except (shape_inference.InferenceError, RuntimeError, ValueError):
            graph = self.graph
        values = [*graph.input, *graph.value_info, *graph.output]
        return {value.name: value.type for value in values}

    def shape(self, tensor: str) -> Shape | None:
        """The shape that shape inference finds, None for a dynamic size; None if unknown."""
        if tensor in self.initializers:
            return tuple(self.initializers[tensor].dims)
        kind = self._types.get(tensor)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        return tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
