"""Rewrite calls of a torch program so that its exporter has an ONNX operator for each."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram

_BROADCASTS = ("maximum", "minimum", "max", "min", "where", "gt", "ge", "lt", "le", "add", "sub")
_RRELU = (1.0 / 8, 1.0 / 3, False)  # lower, upper, training


def simplify(program: ExportedProgram) -> None:
    """Rewrite calls, in place; what they compute stays, bit for bit."""
    graph = program.graph
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if str(node.target) == "aten.rrelu.default":
            _read_as_leaky_relu(node)
        elif str(node.target) == "aten.zeros_like.default" and _is_broadcast(node):
            _make_scalar(graph, node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _read_as_leaky_relu(node: Any) -> None:
    """Outside of training an RReLU is a LeakyReLU of its mean slope."""
    given = tuple(node.args[1:])
    lower, upper, training = given[:3] + _RRELU[len(given) :]
    if training is False:
        node.target = torch.ops.aten.leaky_relu.default
        node.args, node.kwargs = (node.args[0], (lower + upper) / 2), {}


def _is_broadcast(node: Any) -> bool:
    """Whether zeros of a tensor's shape are used next to tensors of that very shape only."""
    shape = node.meta["val"].shape
    for user in node.users:
        others = [other for other in user.all_input_nodes if other is not node]
        same = any(
            isinstance(value := other.meta.get("val"), torch.Tensor) and value.shape == shape
            for other in others
        )
        if not same or str(user.target).split(".")[1:2] not in [[name] for name in _BROADCASTS]:
            return False
    return bool(node.meta["val"].is_floating_point())


def _make_scalar(graph: Any, node: Any) -> None:
    value = node.meta["val"]
    with graph.inserting_before(node):
        zero = graph.call_function(torch.ops.aten.full.default, ([], 0.0), {"dtype": value.dtype})
    zero.meta = {**node.meta, "val": value.new_empty(())}
    node.replace_all_uses_with(zero)
