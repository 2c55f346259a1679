"""Move Transposes down a graph, through what acts on each element, to where they cancel.

A framework that keeps channels last around an operator that wants them first writes a Transpose
before and one behind each. Moved down through what stands between, the one behind meets the one
before the next operator, and both go.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.prelu.layout import Permutation, compose, inverse
from prelu_tools.core.prelu.slopes import align
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.arithmetic import attributes
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, is_onnx, reads, set_attribute

_ELEMENTWISE = frozenset(
    (
        *("Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Sign", "Floor", "Ceil"),
        *("Round", "Not", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu"),
        *("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Mish", "Gelu"),
        *("Clip", "Cast", "Identity", "Dropout", "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"),
        *("Mean", "Sum", "Where", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"),
        *("And", "Or", "Xor"),
    )
)
_ALONG_AN_AXIS = {"Softmax": -1, "LogSoftmax": -1, "Concat": 0}  # with the axis by default


def sink_transposes(model: OnnxModel) -> None:
    """Cancel Transposes of the main graph through what acts on each element, in place.

    Where that would leave more of them than there were, the graph stays as it is.
    """
    graph = model.proto.graph
    sinking = _Sinking(model)
    sinking.run()
    if _count(sinking.nodes) > _count(graph.node):
        return
    del graph.node[:], graph.value_info[:]
    graph.node.extend(sinking.nodes)
    graph.initializer.extend(sinking.added)
    rename_values(graph, sinking.equal)
    rename_values(graph, sinking.outputs)
    prune_model(model)


def _count(nodes: Iterable[onnx.NodeProto]) -> int:
    return sum(node.op_type == "Transpose" for node in nodes)


class _Moved(NamedTuple):
    """A tensor that is another one, transposed."""

    source: str
    order: Permutation


class _Sinking:
    """One pass over a graph in its order: a Transpose is written where something needs it."""

    def __init__(self, model: OnnxModel) -> None:
        self.nodes: list[onnx.NodeProto] = []
        """What takes the place of the graph's nodes."""
        self.added: list[onnx.TensorProto] = []
        """Constants in another axis order."""
        self.equal: dict[str, str] = {}
        """Tensors that turned out to be another one."""
        self.outputs: dict[str, str] = {}
        """Tensors that turned out to be an output of the graph."""
        self._model = model
        self._view = GraphView(model)
        self._moved: dict[str, _Moved] = {}
        self._written: dict[_Moved, str] = {}

    def run(self) -> None:
        """Take every node, then the outputs."""
        graph = self._model.proto.graph
        for node in graph.node:
            copy = deepcopy(node)
            if not self._sinks(copy):
                for name in reads(copy):
                    self._need(name)
                self.nodes.append(copy)
        kept = {value.name for value in [*graph.input, *graph.output]}
        kept.update(tensor.name for tensor in graph.initializer)
        for value in graph.output:
            self._end(value.name, kept)

    def _sinks(self, node: onnx.NodeProto) -> bool:
        """Whether a node needs no Transpose before it; it is written as it is to be, then."""
        moved = [self._moved[name] for name in node.input if name in self._moved]
        kind = node.op_type if is_onnx(node) else ""
        if kind == "Transpose" and "perm" in attributes(node):
            source, name = node.input[0], node.output[0]
            base = moved[0] if moved else None
            order = tuple(attributes(node)["perm"].ints)
            self._moved[name] = (
                _Moved(source, order) if base is None
                else _Moved(base.source, compose(order, base.order))
            )  # fmt: skip
            return True
        if not moved or len(node.output) != 1 or len({found.order for found in moved}) != 1:
            return False
        order = moved[0].order
        if kind == "Shape":
            return self._sees_one_size(node, moved[0])
        if kind not in _ELEMENTWISE and kind not in _ALONG_AN_AXIS:
            return False
        if _is_plain(order) or order[0] != 0:  # a layer that acts on each step stays behind it
            return False
        if not self._moves_inputs(node, order):
            return False
        if kind in _ALONG_AN_AXIS:
            axis = attribute_of(node, "axis", _ALONG_AN_AXIS[kind])
            set_attribute(node, "axis", order[axis % len(order)])
        return True

    def _sees_one_size(self, node: onnx.NodeProto, moved: _Moved) -> bool:
        """A Shape that takes one size of a tensor takes it of the source."""
        given = {name: value.i for name, value in attributes(node).items()}
        start, end = given.get("start", 0), given.get("end")
        if end != start + 1 or not 0 <= start < len(moved.order):
            return False
        axis = moved.order[start]
        del node.attribute[:]
        node.attribute.extend(
            [helper.make_attribute("start", axis), helper.make_attribute("end", axis + 1)]
        )
        node.input[0] = moved.source
        self.nodes.append(node)
        return True

    def _moves_inputs(self, node: onnx.NodeProto, order: Permutation) -> bool:
        inputs = [self._before(name, order) for name in node.input]
        if any(name is None for name in inputs):
            return False
        for place, found in enumerate(inputs):
            node.input[place] = found or ""
        name = node.output[0]
        node.output[0] = f"{name}/sunk"
        self._moved[name] = _Moved(node.output[0], order)
        self.nodes.append(node)
        return True

    def _before(self, name: str, order: Permutation) -> str | None:
        """An input as it is before a Transpose; None where that is not known."""
        if not name:
            return ""
        if name in self._moved:
            return self._moved[name].source
        shape = self._view.shape(name)
        constant = read_constant(self._view, name)
        if constant is not None and constant.values.ndim == 0:
            return name
        if constant is not None and constant.values.ndim <= len(order):
            laid = align(constant.values, len(order)).transpose(inverse(order))
            own = f"prelu_tools/sunk_{len(self.added)}"
            self.added.append(self._model.tensor(own, np.ascontiguousarray(laid)))
            return own
        if constant is None and shape is not None and len(shape) == len(order):
            return self._transposed(_Moved(name, inverse(order)), None)
        return None

    def _need(self, name: str) -> None:
        """Write a tensor that something reads as it is."""
        moved = self._moved.get(name)
        if moved is None or name in self.equal:
            return
        found = moved.source if _is_plain(moved.order) else self._transposed(moved, name)
        if found != name:
            self.equal[name] = found

    def _transposed(self, moved: _Moved, name: str | None) -> str:
        """The name of a tensor that is transposed, once for all that need it."""
        if moved not in self._written:
            target = name or f"{moved.source}/{''.join(map(str, moved.order))}"
            self._written[moved] = target
            self.nodes.append(
                helper.make_node("Transpose", [moved.source], [target], perm=moved.order)
            )
        return self._written[moved]

    def _end(self, name: str, kept: Container[str]) -> None:
        """Write an output of the graph, under its name."""
        self._need(name)
        found = self.equal.pop(name, name)
        if found == name:
            return
        if found in kept or found in self.outputs:
            self.nodes.append(helper.make_node("Identity", [found], [name]))
        else:
            self.outputs[found] = name


def _is_plain(order: Permutation) -> bool:
    return order == tuple(range(len(order)))
