"""Small operations on ONNX graphs, for those who plant faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]


class Graph:
    """A copy of a model that faults are planted in."""

    def __init__(self, model: onnx.ModelProto, rng: np.random.Generator) -> None:
        """Copy it; `rng` chooses the places."""
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.rng = rng
        self.graph = self.model.graph
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        slopes = [node.input[1] for node in self.graph.node if node.op_type == "PRelu"]
        self._slopes = {name for name in slopes if name in self.weights}
        self._outputs = {value.name for value in self.graph.output}

    def nodes(self, *types: str, where: Callable[[Any], bool] = lambda _: True) -> list[Any]:
        """Nodes of these types, in an order that the seed determines."""
        found = [node for node in self.graph.node if node.op_type in types and where(node)]
        return [found[place] for place in self.rng.permutation(len(found))]

    def pick(self, *types: str, where: Callable[[Any], bool] = lambda _: True) -> Any | None:
        """One of them; None where there is none."""
        return next(iter(self.nodes(*types, where=where)), None)

    def weight(self, node: Any, place: int) -> Array | None:
        """The constant that an input of a node is; None where it is none, or a slope."""
        if len(node.input) <= place or node.input[place] in self._slopes:
            return None
        tensor = self.weights.get(node.input[place])
        return None if tensor is None else numpy_helper.to_array(tensor).copy()

    def set_weight(self, node: Any, place: int, value: Array) -> None:
        """Give a node a constant of its own."""
        name = f"{node.input[place]}_fault"
        old = numpy_helper.to_array(self.weights[node.input[place]])
        self.graph.initializer.append(numpy_helper.from_array(value.astype(old.dtype), name))
        node.input[place] = name

    def constant(self, value: Array) -> str:
        """The name of a new constant."""
        name = f"fault_{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def attribute(self, node: Any, name: str, default: Any = None) -> Any:
        """The value of an attribute."""
        for attribute in node.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return default

    def set_attribute(self, node: Any, name: str, value: Any) -> None:
        """Set an attribute, or replace it."""
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    def become(self, node: Any, op_type: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Put another node in the place of one."""
        new = helper.make_node(op_type, inputs, node.output, node.name, **attributes)
        node.CopyFrom(new)

    def wrap(self, tensor: str, make: Callable[[str, str], list[Any]]) -> None:
        """Put nodes between a tensor and all its readers.

        Args:
            tensor: what is read.
            make: the nodes, from the name that they read to the name that they write.
        """
        place = -1
        for number, node in enumerate(self.graph.node):
            if tensor in node.output:
                place = number
        if tensor in self._outputs:
            before = f"{tensor}_true"
            for node in self.graph.node:
                for names in (node.input, node.output):
                    for number, name in enumerate(names):
                        if name == tensor:
                            names[number] = before
            made = make(before, tensor)
        else:
            after = f"{tensor}_false"
            for node in self.graph.node:
                for number, name in enumerate(node.input):
                    if name == tensor:
                        node.input[number] = after
            made = make(tensor, after)
        for offset, node in enumerate(made, 1):
            self.graph.node.insert(place + offset, node)

    def fixed_axes(self, output: str) -> list[int]:
        """The axes of an output, other than the first, that have one size above 1."""
        value = next(value for value in self.graph.output if value.name == output)
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        return [axis for axis, size in enumerate(sizes) if axis and size > 1]

    def floats(self, known: dict[str, Array]) -> list[str]:
        """Tensors inside of which values are known, in an order that the seed determines."""
        made = {name for node in self.graph.node for name in node.output}
        found = [
            name for name, value in known.items()
            if name in made and value.dtype == np.float32 and value.size > 1
        ]  # fmt: skip
        return [found[place] for place in self.rng.permutation(len(found))]


def node(op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    """A node with one output."""
    return helper.make_node(op_type, list(inputs), [output], f"fault_{output}", **attributes)
