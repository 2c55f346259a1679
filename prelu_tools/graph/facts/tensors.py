"""The tensors of a graph that can be observed as it runs, and the nodes that produce them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from prelu_tools.graph.match.arithmetic import leak_of
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import bodies, needed

_FLOATING = frozenset((
    onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE,
))  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """The node that makes a tensor."""

    node: str
    """Its name, or that of its first output."""
    operator: str
    """What it is."""
    slope: float | None = None
    """The one slope of a LeakyRelu or a Relu (0); None for any other node."""
    digits: int | None = None
    """The decimal digits in which the file writes that slope; None if it has all its bits."""


def floating_tensors(view: GraphView) -> dict[str, Maker]:
    """The tensors of a main graph that hold floats, or may: what its nodes make of its inputs."""
    found = {}
    for node in view.graph.node:
        maker = Maker(node.name or node.output[0], node.op_type, leak_of(node))
        for name in node.output:
            if name and (view.element_type(name) or onnx.TensorProto.FLOAT) in _FLOATING:
                found[name] = maker
    return found


def has_bodies(view: GraphView) -> bool:
    """Whether a node of the graph holds its own graph, which cannot be observed."""
    return any(bodies(node) for node in view.graph.node)


def unread(view: GraphView, tensor: str) -> bool:
    """Whether no output of a main graph depends on a tensor."""
    return tensor not in needed(view.graph)
