"""Remove what no output of a graph needs."""

from __future__ import annotations

import onnx

from prelu_tools.graph.model import OnnxModel


def prune(graph: onnx.GraphProto) -> None:
    """Drop dead nodes, unused initializers and stale type information, in place."""
    producer = {name: node for node in graph.node for name in node.output if name}
    needed: set[str] = set()
    stack = [value.name for value in graph.output]
    while stack:
        name = stack.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in producer:
            stack.extend(reads(producer[name]))
    live = [node for node in graph.node if any(name in needed for name in node.output)]
    if len(live) != len(graph.node):
        del graph.node[:]
        graph.node.extend(live)
    _keep(graph.initializer, needed)
    _keep(graph.value_info, {name for node in live for name in node.output})


def prune_model(model: OnnxModel) -> None:
    """`prune` the main graph, and let go of weights that were its."""
    prune(model.proto.graph)
    model.forget_unused()


def reads(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node uses, those that its subgraphs take from outside included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            for inner in graph.node:
                names.extend(reads(inner))
            names.extend(value.name for value in graph.output)
    return names


def _keep(values: object, names: set[str]) -> None:
    """Keep the elements of a repeated field with these names."""
    field: list[onnx.TensorProto] = values  # type: ignore[assignment]
    kept = [value for value in field if value.name in names]
    if len(kept) != len(field):
        del field[:]
        field.extend(kept)
