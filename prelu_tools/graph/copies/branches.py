"""Which bodies of If, Loop and Scan run: a copy of a graph counts them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.graph.facts.dependence import Dependence, Known, dependences
from prelu_tools.graph.facts.randomness import live_nodes
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.arithmetic import attributes
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import bodies, every_node

COUNTS: Final = "prelu_tools/bodies_run"
"""The output of the copy: how often each body ran."""
_FIRST_OPSET: Final = 9  # integers are added since 7; Scan had other inputs before 9
_WAYS: Final = {"then_branch": "took its then branch", "else_branch": "took its else branch"}


class Body(NamedTuple):
    """A body that may or may not run, depending on the inputs."""

    node: str
    """The operator and name of the node that it is in."""
    way: str
    """What the node does where it runs, in words that follow "never"."""
    by_sizes: bool
    """Whether sizes of the inputs decide if it runs, and not values."""


def counted(model: OnnxModel) -> tuple[OnnxModel, tuple[Body, ...]] | None:
    """A copy of a model, functions inlined, with a further output that counts the bodies run.

    Bodies that always run, or never, whatever the inputs are, do not count.

    Returns:
        The copy and its bodies, in the order of the counts; None if there are none.

    Raises:
        PReLUToolsError: functions cannot be inlined.
    """
    if model.opset < _FIRST_OPSET or not any(map(bodies, every_node(model.proto))):
        return None
    proto = deepcopy(inlined(model.proto))
    copy = replace(model, proto=proto)
    counter = _Counter(copy)
    if not counter.bodies:
        return None
    counter.count(proto.graph)
    return copy, tuple(counter.bodies)


class _Counter:
    """Adds the counts to a graph, in place."""

    def __init__(self, model: OnnxModel) -> None:
        """Find the bodies."""
        self.bodies: list[Body] = []
        self._numbers: dict[int, list[tuple[onnx.GraphProto, int]]] = {}
        self._nodes: list[onnx.NodeProto] = []  # an id is a node's as long as somebody holds it
        self._names = 0
        live = {id(node): node for _, node in live_nodes(GraphView(model, typed=True))}
        for node, known in dependences(model.proto.graph):
            if id(node) in live and node.op_type in ("If", "Loop", "Scan"):
                self._take(node, _deciding(node, known))

    def _take(self, node: onnx.NodeProto, depends: Dependence) -> None:
        self._nodes.append(node)
        name = f"{node.op_type} {node.name or next((o for o in node.output if o), '')}"
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                number = -1
                if depends is not Dependence.CONSTANT:
                    number = len(self.bodies)
                    by_sizes = depends is Dependence.SIZES
                    way = _WAYS.get(attribute.name, "ran its body")
                    self.bodies.append(Body(name, way, by_sizes))
                self._numbers.setdefault(id(node), []).append((attribute.g, number))

    def count(self, graph: onnx.GraphProto) -> None:
        """Give the main graph the counts as an output."""
        total = self._total(graph)
        graph.node.add(op_type="Identity", input=[total], output=[COUNTS])
        graph.output.append(self._value(COUNTS))

    def _total(self, graph: onnx.GraphProto, own: int = -1) -> str:
        """The sum of the counts of a graph's bodies and of its own runs."""
        counts = np.zeros(len(self.bodies), np.int64)
        if own >= 0:
            counts[own] = 1
        total, nodes = self._constant(graph, counts), list(graph.node)
        for node in nodes:
            if id(node) in self._numbers:
                added, both = self._counting(graph, node), self._name()
                graph.node.add(op_type="Add", input=[total, added], output=[both])
                total = both
        return total

    def _counting(self, graph: onnx.GraphProto, node: onnx.NodeProto) -> str:
        """Make a node return the counts of its bodies; returns the name of that output."""
        result = self._name()
        if node.op_type == "If":
            for body, number in self._numbers[id(node)]:
                body.output.append(self._value(self._total(body, number)))
            node.output.append(result)
            return result
        ((body, number),) = self._numbers[id(node)]
        zeros = self._constant(graph, np.zeros(len(self.bodies), np.int64))
        carried, state = self._name(), self._name()
        total = self._total(body, number)
        body.node.add(op_type="Add", input=[carried, total], output=[state])
        if node.op_type == "Loop":
            place = len(node.input) - 2
            node.input.append(zeros)
            body.input.append(self._value(carried))
            _insert(body.output, 1 + place, self._value(state))
        else:
            place = len(node.input) - attributes(node)["num_scan_inputs"].i
            node.input.insert(place, zeros)
            _insert(body.input, place, self._value(carried))
            _insert(body.output, place, self._value(state))
        node.output.insert(place, result)
        return result

    def _name(self) -> str:
        self._names += 1
        return f"prelu_tools/count_{self._names}"

    def _value(self, name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [len(self.bodies)])

    def _constant(
        self, graph: onnx.GraphProto, values: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> str:
        name = self._name()
        graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def _deciding(node: onnx.NodeProto, known: Known) -> Dependence:
    """What it depends on whether the bodies of a node run."""
    deciding = {"If": node.input[:1], "Loop": node.input[:2]}.get(node.op_type, node.input)
    found = max((known[name] for name in deciding if name), default=Dependence.CONSTANT)
    return min(found, Dependence.SIZES) if node.op_type == "Scan" else found


def _insert(values: Sequence[onnx.ValueInfoProto], place: int, value: onnx.ValueInfoProto) -> None:
    """Put an element into a repeated field, in place."""
    field: list[onnx.ValueInfoProto] = values  # type: ignore[assignment]
    kept = list(field)
    del field[:]
    field.extend([*kept[:place], value, *kept[place:]])
