"""Walk a graph: its nodes and bodies, what they read, and what outputs need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import onnx
from onnx import helper

from prelu_tools.core.errors import PReLUToolsError

OWN: Final = ("", "ai.onnx")
"""The names of the domain of ONNX's own operators."""


def is_onnx(node: onnx.NodeProto, *operators: str) -> bool:
    """Whether a node is one of ONNX's own operators; of these, where some are given."""
    return node.domain in OWN and (not operators or node.op_type in operators)


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs inside an If, Loop or Scan."""
    return [graph for attribute in node.attribute for graph in graphs_in(attribute)]


def graphs_in(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """The graphs that an attribute holds."""
    return [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies in it, outer ones first."""
    yield graph
    for node in graph.node:
        for body in bodies(node):
            yield from all_graphs(body)


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, and those of the bodies in them, after the node that holds them."""
    for node in nodes:
        yield node
        if node.attribute:
            for body in bodies(node):
                yield from all_nodes(body.node)


def every_node(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a model, those of bodies and of local functions included."""
    yield from all_nodes(proto.graph.node)
    for function in proto.functions:
        yield from all_nodes(function.node)


def attribute_of(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute, or a default if the node does not have it."""
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    """Give an attribute of a node a value, in place."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    changed = helper.make_attribute(name, value)
    del node.attribute[:]
    node.attribute.extend([*kept, changed])


def set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give a graph these nodes, some of its own among them, in place."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def free_name(name: str, taken: set[str], number: int = 0) -> str:
    """The name with the first number, from this one on, that is free; it is taken from now on.

    0 stands for the name itself.
    """
    found = f"{name}_{number}" if number else name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


def inner_names(graph: onnx.GraphProto) -> set[str]:
    """Every tensor that a body of this graph makes or keeps: outside they must not be used."""
    return {name for one in all_graphs(graph) if one is not graph for name in own_names(one)}


def reads(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node uses, those that its subgraphs take from outside included.

    A name that a subgraph gives to its own tensor hides the one outside.
    """
    names = [name for name in node.input if name]
    if node.attribute:
        for graph in bodies(node):
            own = own_names(graph)
            read = [name for inner in graph.node for name in reads(inner)]
            read += [value.name for value in graph.output]
            names += [name for name in read if name not in own]
    return names


def own_names(body: onnx.GraphProto) -> set[str]:
    """The tensors that a body makes, keeps or is given: they hide those of these names outside."""
    own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    own |= {tensor.values.name for tensor in body.sparse_initializer}
    return own | {name for inner in body.node for name in inner.output if name}


class CycleError(PReLUToolsError):
    """Nodes read from each other in a cycle."""

    def __init__(self, node: onnx.NodeProto) -> None:
        """Name a node that is part of it, or reads from one that is."""
        super().__init__(f"the graph has a cycle through node {node.name or node.output[0]!r}")
        self.node = node


def in_order(
    nodes: Sequence[onnx.NodeProto], ends: Iterable[str] | None = None
) -> list[onnx.NodeProto]:
    """Nodes, each after those that it reads from.

    Args:
        nodes: those of one graph.
        ends: tensors from which to go back, depth first: then the order is not that of the nodes,
            and those that none of these need are left out; None to keep an order that is right.

    Raises:
        CycleError: there is none.
    """
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    before = [[makers[name] for name in reads(node) if name in makers] for node in nodes]
    if ends is None and all(max(earlier, default=-1) < i for i, earlier in enumerate(before)):
        return list(nodes)
    starts = range(len(nodes)) if ends is None else [makers[end] for end in ends if end in makers]
    is_placed: dict[int, bool] = {}
    order = []
    for start in starts:
        stack = [start]
        while stack:
            number = stack[-1]
            if number not in is_placed:
                is_placed[number] = False
                if any(is_placed.get(i) is False for i in before[number]):
                    raise CycleError(nodes[next(i for i in is_placed if not is_placed[i])])
                stack += [i for i in reversed(before[number]) if i not in is_placed]
                continue
            stack.pop()
            if not is_placed[number]:
                is_placed[number] = True
                order.append(nodes[number])
    return order


def users_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each tensor, once for each time that they do."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in reads(node):
            found.setdefault(name, []).append(node)
    return found


def needed(graph: onnx.GraphProto) -> set[str]:
    """The tensors that an output of a graph depends on, its outputs included."""
    makers = {name: node for node in graph.node for name in node.output if name}
    found: set[str] = set()
    left = [value.name for value in graph.output]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += reads(makers[name]) if name in makers else []
    return found
