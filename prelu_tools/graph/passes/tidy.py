"""Order and names that depend only on the model, so that the same source gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import onnx

from prelu_tools.graph.io.metadata import LAYER, properties
from prelu_tools.graph.walk import bodies, free_name, in_order, inner_names, set_nodes

_ROLES = {
    "Conv": ("", "weight", "bias"),
    "ConvTranspose": ("", "weight", "bias"),
    "Gemm": ("", "weight", "bias"),
    "MatMul": ("weight", "weight"),
    "Reshape": ("", "shape"),
}


def rename_values(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors of the main graph new names, in place."""
    for value in [*graph.input, *graph.output, *graph.value_info]:
        value.name = names.get(value.name, value.name)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        _rename_in_node(node, names)


def name_boundaries(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename inputs and outputs, in place; any other tensor of such a name makes way for it."""
    wanted = set(names.values()) - set(names)
    rename_values(graph, {name: f"{name}/inner" for name in wanted} | dict(names))


def _rename_in_node(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for field in (node.input, node.output):
        for position, name in enumerate(field):
            if name in names:
                field[position] = names[name]
    for graph in bodies(node):
        for inner in graph.node:
            _rename_in_node(inner, names)
        for value in graph.output:
            value.name = names.get(value.name, value.name)


def tidy(graph: onnx.GraphProto, keep: Mapping[str, str]) -> None:
    """Sort nodes from the outputs back, and name nodes and tensors after them, in place.

    A PRelu node that was described (`graph/io/metadata.py`) has its name already; a node without
    any is called by its operator; equal names are numbered.

    Args:
        graph: the main graph.
        keep: initializers with names from the source, and the names to give them.
    """
    _strip(graph)
    set_nodes(graph, in_order(graph.node, [value.name for value in graph.output]))
    taken: set[str] = set()
    described = [node for node in graph.node if LAYER in properties(node)]
    taken.update(node.name for node in described)
    for node in graph.node:
        if LAYER not in properties(node):
            node.name = _unique(node.name or node.op_type, taken)
    _name_values(graph, keep)
    graph.initializer.sort(key=lambda tensor: tensor.name)
    del graph.value_info[:]


def _strip(graph: onnx.GraphProto) -> None:
    """Drop exporters' private metadata: source paths, stack traces, names."""
    for node in graph.node:
        node.doc_string = ""
        if LAYER not in properties(node):
            del node.metadata_props[:]
    parts: list[Any] = [*graph.input, *graph.output, *graph.initializer, graph]
    for item in parts:
        item.doc_string = ""
        del item.metadata_props[:]


def _name_values(graph: onnx.GraphProto, keep: Mapping[str, str]) -> None:
    fixed = {value.name for value in [*graph.input, *graph.output]}
    names = {name: name for name in fixed}
    slopes = {node.input[1] for node in graph.node if _has_slope(node)}
    taken = fixed | slopes | inner_names(graph)
    names |= {name: name for name in slopes}
    parameters = {tensor.name for tensor in graph.initializer}
    for name in sorted((parameters & set(keep)) - slopes):
        names[name] = _unique(keep[name], taken)
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in parameters and name not in names:
                names[name] = _unique(f"{node.name}/{_role(node, position)}", taken)
        for position, name in enumerate(node.output):
            if name and name not in names:
                names[name] = _unique(f"{node.name}:{position}", taken)
    rename_values(graph, names)


def _role(node: onnx.NodeProto, position: int) -> str:
    roles = _ROLES.get(node.op_type, ())
    role = roles[position] if position < len(roles) else ""
    return role or f"constant_{position}"


def _unique(name: str, taken: set[str]) -> str:
    return free_name(re.sub(r"\s+", "_", name), taken)


def _has_slope(node: onnx.NodeProto) -> bool:
    """Whether a node says that it is a layer, and has an input for its slopes."""
    return LAYER in properties(node) and len(node.input) > 1
