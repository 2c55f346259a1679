"""Make tensors in bodies of If and Loop outputs of the model, with every value they take.

The node around a body appends the body's values to a sequence, so a loop adds one element per
iteration, and a branch that is not taken none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import bodies, is_onnx

_FIRST_OPSET: Final = 13  # If and Loop take sequences since


BodyPath = tuple[tuple[int, int], ...]
"""The bodies that something is in, outer ones first: which of the nodes with bodies of a graph,
and which body of that node; empty for the main graph."""


class TensorPlace(NamedTuple):
    """A tensor of a model, in the main graph or in a body."""

    path: BodyPath
    """Where it is."""
    name: str
    """Its name there."""
    kind: int
    """Its `TensorProto.DataType`."""


def path_of(view: GraphView) -> BodyPath | None:
    """Where a graph is; None if its tensors cannot be carried out of it (Scan, old opsets)."""
    if view.outer is None:
        return ()
    outside = path_of(view.outer)
    if outside is None or view.model.opset < _FIRST_OPSET:
        return None
    for number, node in enumerate(_owners(view.outer.graph)):
        for place, body in enumerate(bodies(node)):
            if body is view.graph:
                return (*outside, (number, place)) if is_onnx(node, "If", "Loop") else None
    return None


def body_at(graph: onnx.GraphProto, path: BodyPath) -> onnx.GraphProto:
    """The body at a path, in a copy of the graph that has the same bodies."""
    for number, place in path:
        graph = bodies(_owners(graph)[number])[place]
    return graph


def carry_out(graph: onnx.GraphProto, tensors: Sequence[TensorPlace]) -> tuple[str, ...]:
    """Make tensors of bodies outputs of a main graph, in place: sequences of the values they take.

    Returns:
        The names of the outputs.

    Raises:
        PReLUToolsError: the graph has no such tensor.
    """
    carrier = _Carrier()
    starts = [carrier.name() for _ in tensors]
    found = [
        carrier.through(graph, tensor, tensor.path, start)
        for tensor, start in zip(tensors, starts, strict=True)
    ]
    for place, (tensor, start) in enumerate(zip(tensors, starts, strict=True)):
        node = helper.make_node("SequenceEmpty", [], [start], dtype=tensor.kind)
        graph.node.insert(place, node)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
    return tuple(found)


def _owners(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if bodies(node)]


class _Carrier:
    """Leads sequences through the nodes around a body."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def name(self) -> str:
        """A name that is free."""
        return f"prelu_tools/carried_{next(self._numbers)}"

    def through(
        self,
        graph: onnx.GraphProto,
        tensor: TensorPlace,
        path: BodyPath,
        given: str,
    ) -> str:
        """The name that a sequence has in a graph once the tensor's values are in it.

        Args:
            graph: the graph.
            tensor: the tensor to carry out.
            path: the rest of the way from this graph to it.
            given: the sequence's name before.
        """
        if not path:
            return self._longer(graph, given, tensor.name)
        (number, place), rest = path[0], path[1:]
        node, result = _owners(graph)[number], self.name()
        body = bodies(node)[place]
        if node.op_type == "If":
            inner = self.through(body, tensor, rest, given)
            for branch in bodies(node):
                name = inner if branch is body else self._same(branch, given, tensor.kind)
                branch.output.append(_sequence(name, tensor.kind))
            node.output.append(result)
            return result
        node.input.extend([""] * (2 - len(node.input)))
        n_states, carried = len(node.input) - 2, self.name()
        inner = self.through(body, tensor, rest, carried)
        node.input.append(given)
        body.input.append(_sequence(carried, tensor.kind))
        outputs = list(body.output)
        if len(outputs) != len(node.output) + 1:
            raise PReLUToolsError(f"{node.op_type} {node.name} has other outputs than its body")
        outputs.insert(1 + n_states, _sequence(inner, tensor.kind))
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
        del body.output[:]
        body.output.extend(copies)
        node.output.insert(n_states, result)
        return result

    def _longer(self, graph: onnx.GraphProto, given: str, value: str) -> str:
        """The sequence with a tensor after it."""
        result = self.name()
        graph.node.add(op_type="SequenceInsert", input=[given, value], output=[result])
        return result

    def _same(self, graph: onnx.GraphProto, given: str, kind: int) -> str:
        """The sequence as a tensor of this graph: Identity takes none before opset 14."""
        value, result = self.name(), self.name()
        empty = np.zeros(0, helper.tensor_dtype_to_np_dtype(kind))
        graph.initializer.append(numpy_helper.from_array(empty, value))
        longer = self._longer(graph, given, value)
        graph.node.add(op_type="SequenceErase", input=[longer], output=[result])
        return result


def _sequence(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info(name, kind, None)
