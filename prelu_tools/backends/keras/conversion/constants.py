"""Compute once what a graph computes from constants alone.

tf2onnx does this too, node by node, each in its own graph and session, which for a net with many
normalizations takes longer than the rest of the conversion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensorflow.python.framework import op_def_registry

from prelu_tools.backends.keras.framework import tf

_LARGE = 1_000_000  # elements; the inputs of a larger constant may be smaller


def fold(definition: Any, kept: Iterable[str]) -> Any:
    """Replace tensors that depend only on constants with constants.

    Args:
        definition: a GraphDef of one frame, without control inputs; changed.
        kept: tensors that stay as they are, such as the outputs.

    Returns:
        The definition.
    """
    constant = _constant_nodes(definition, {name.partition(":")[0] for name in kept})
    read = {
        name.partition(":")[0]
        for node in definition.node
        if node.name not in constant
        for name in node.input
    }
    ends = [name for name, node in constant.items() if name in read and node.op != "Const"]
    values = dict(zip(ends, _values(definition, ends), strict=True))
    small = {name: value for name, value in values.items() if value.size < _LARGE}
    if len(small) < len(values):  # their inputs are still needed
        return definition
    nodes = [
        _constant(node, small[node.name]) if node.name in small else node
        for node in definition.node
        if node.name not in constant or node.name in read
    ]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del definition.node[:]
    definition.node.extend(copies)
    return definition


def _constant_nodes(definition: Any, kept: set[str]) -> dict[str, Any]:
    """The nodes whose value is known, by name, according to tf2onnx's rule."""
    found = {node.name: node for node in definition.node if node.op == "Const"}
    pure = [
        (node, {name.partition(":")[0] for name in node.input})
        for node in definition.node
        if node.input and node.name not in kept and _is_pure(node)
    ]
    while True:  # once suffices, because the nodes are in order
        new = []
        for node, inputs in pure:
            if node.name not in found and inputs <= found.keys():
                found[node.name] = node
                new.append(node)
        if not new:
            return found


def _is_pure(node: Any) -> bool:
    """Whether a node has one output, which depends only on its inputs."""
    declared = op_def_registry.get(node.op)
    if declared is None or declared.is_stateful or len(declared.output_arg) != 1:
        return False
    output = declared.output_arg[0]
    kind = node.attr[output.type_attr].type if output.type_attr else output.type
    is_array = kind not in (tf.variant.as_datatype_enum, tf.resource.as_datatype_enum)
    is_one = not (output.number_attr or output.type_list_attr)
    return is_array and is_one and node.op not in _FRAMES


_FRAMES = ("Enter", "Exit", "Switch", "Merge", "NextIteration")


def _values(definition: Any, names: list[str]) -> list[Any]:
    """Compute nodes as they are written: an optimizer would round otherwise."""
    if not names:
        return []
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph, config=config) as session:
            found: list[Any] = session.run([f"{name}:0" for name in names])
    return found


def _constant(node: Any, value: Any) -> Any:
    made = type(node)(name=node.name, op="Const")
    made.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    if "_output_shapes" in node.attr:
        made.attr["_output_shapes"].CopyFrom(node.attr["_output_shapes"])
    return made
