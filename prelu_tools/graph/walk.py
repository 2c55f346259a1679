"""Walk a graph: the bodies inside its nodes, and the tensors that a node reads."""

from __future__ import annotations

import onnx


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs inside an If, Loop or Scan."""
    if not node.attribute:
        return []
    return [
        graph
        for attribute in node.attribute
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
    ]


def inner_names(graph: onnx.GraphProto) -> set[str]:
    """Every tensor that a body of this graph makes or keeps: outside they must not be used."""
    names: set[str] = set()
    for node in graph.node:
        for body in bodies(node):
            names.update(value.name for value in body.input)
            names.update(tensor.name for tensor in body.initializer)
            names.update(name for inner in body.node for name in inner.output if name)
            names |= inner_names(body)
    return names


def reads(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node uses, those that its subgraphs take from outside included."""
    names = [name for name in node.input if name]
    for graph in bodies(node):
        for inner in graph.node:
            names.extend(reads(inner))
        names.extend(value.name for value in graph.output)
    return names
