"""Remove nodes that no output of a graph needs."""

from __future__ import annotations

import onnx

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.walk import bodies, needed, reads

UNLISTED = 4
"""The first IR version in which an initializer need not be an input too."""


def prune(graph: onnx.GraphProto) -> None:
    """Drop dead nodes, unused initializers and stale type information, in place; in bodies too."""
    used = needed(graph)
    live = [node for node in graph.node if not used.isdisjoint(node.output)]
    if len(live) != len(graph.node):
        del graph.node[:]
        graph.node.extend(live)
    _keep(graph.initializer, used)
    _keep(graph.value_info, {name for node in live for name in node.output})
    for node in live:
        for body in bodies(node):
            prune(body)


def unlist_weights(proto: onnx.ModelProto) -> int:
    """Take initializers off the inputs of the graph, in place.

    Before IR version 4 each of them had to be listed there; since then that makes it a default,
    which a caller may override.

    Returns:
        How many a caller could have overridden.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.input if value.name not in weights]
    listed = len(proto.graph.input) - len(kept)
    if not listed:
        return 0
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    overridable = proto.ir_version >= UNLISTED
    proto.ir_version = max(proto.ir_version, UNLISTED)
    return listed if overridable else 0


def overridable(proto: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights that a caller may override: inputs of the graph that have a default."""
    if proto.ir_version < UNLISTED:
        return {}
    listed = {value.name for value in proto.graph.input}
    return {tensor.name: tensor for tensor in proto.graph.initializer if tensor.name in listed}


def relist_weights(proto: onnx.ModelProto, original: onnx.ModelProto) -> tuple[str, ...]:
    """Make weights inputs again that a caller may override in the original, in place.

    Returns:
        Those that are not what they were, so that it cannot be done.
    """
    wanted = overridable(original)
    now = {tensor.name: tensor for tensor in proto.graph.initializer}
    same = {
        name
        for name, tensor in wanted.items()
        if name in now and (now[name].dims, now[name].data_type) == (tensor.dims, tensor.data_type)
    }
    own = {value.name: value for value in proto.graph.input}
    names = {name for node in original.graph.node for name in reads(node)}
    inputs = [
        own.get(value.name, value)
        for value in original.graph.input
        if value.name in own or value.name in same
    ]
    if same:
        copies = [type(value).FromString(value.SerializeToString()) for value in inputs]
        del proto.graph.input[:]
        proto.graph.input.extend(copies)
    return tuple(name for name in wanted if name not in same and name in names)


def prune_model(model: OnnxModel) -> None:
    """`prune` the main graph, and let go of weights that were its."""
    prune(model.proto.graph)
    model.forget_unused()


def _keep(values: object, names: set[str]) -> None:
    """Keep the elements of a repeated field with these names."""
    field: list[onnx.TensorProto] = values  # type: ignore[assignment]
    kept = [value for value in field if value.name in names]
    if len(kept) != len(field):
        del field[:]
        field.extend(kept)
