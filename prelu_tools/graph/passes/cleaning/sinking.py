"""Move Transposes down a graph, through elementwise operators, to where they cancel.

A framework that keeps channels last writes a Transpose before and after each operator that needs
channels first. Moved down, the Transpose after one operator meets the one before the next, and both
are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation, compose, inverse
from prelu_tools.core.prelu.slopes import align
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.arithmetic import attributes
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, free_name, is_onnx, reads, set_attribute, users_of

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
_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2")
Through = Callable[[onnx.NodeProto, Permutation], bool]
"""Whether a Transpose of this order may move through a node."""


def sink_transposes(model: OnnxModel) -> None:
    """Cancel Transposes of the main graph through element-wise operators, in place.

    Where that would leave more of them than there were, the graph stays as it is.
    """

    def through(node: onnx.NodeProto, order: Permutation) -> bool:
        if node.op_type in _ELEMENTWISE or node.op_type in _ALONG_AN_AXIS:
            return order[0] == 0  # a layer that acts on each step stays after it
        return bool(node.op_type == "Shape")

    sinking = _Sinking(model, through)
    if _count(sinking.nodes) <= _count(model.proto.graph.node):
        sinking.take_over()


def reduce_before_transposing(model: OnnxModel) -> None:
    """Let a reduction read the input of a Transpose that nothing else reads, in place.

    What it leaves of the Transpose goes after it; where it drops the axes that were moved, nothing
    is left.
    """
    users, kept = users_of(model.proto.graph), {value.name for value in model.proto.graph.output}
    alone = {name for name, nodes in users.items() if len(nodes) == 1} - kept
    _sink_where(model, lambda node: node.op_type in _REDUCTIONS and node.input[0] in alone)


def cancel_transposes(model: OnnxModel) -> None:
    """Cancel inverse operators around the PRelu nodes of the main graph, in place.

    A Transpose before a PRelu moves after it where only Transposes follow, and two in a row become
    one or none. So there are never more of them than before.
    """
    users, view = users_of(model.proto.graph), GraphView(model)
    kept = {value.name for value in model.proto.graph.output}

    def wanted(node: onnx.NodeProto) -> bool:
        after = users.get(node.output[0], ()) if node.op_type == "PRelu" else ()
        if not after or node.output[0] in kept or not view.is_constant(node.input[1]):
            return False
        return all(is_onnx(user, "Transpose") for user in after)

    _sink_where(model, wanted)


def _sink_where(model: OnnxModel, wanted: Callable[[onnx.NodeProto], bool]) -> None:
    """Move Transposes through these nodes, and merge those in a row, if there are any."""
    nodes = [node for node in model.proto.graph.node if is_onnx(node) and node.input]
    turned = {node.output[0] for node in nodes if node.op_type == "Transpose"}
    found = {node.output[0] for node in nodes if wanted(node)}
    if any(n.input[0] in turned for n in nodes if n.output[0] in turned | found):
        _Sinking(model, lambda node, _: node.output[0] in found).take_over()


def _count(nodes: Iterable[onnx.NodeProto]) -> int:
    return sum(node.op_type == "Transpose" for node in nodes)


class _Moved(NamedTuple):
    """A tensor that is another one, transposed."""

    source: str
    order: Permutation


class _Sinking:
    """One pass over a graph in its order: a Transpose is written where something needs it."""

    def __init__(self, model: OnnxModel, through: Through) -> None:
        """Take every node, then the outputs; the graph stays as it is."""
        self.nodes: list[onnx.NodeProto] = []
        """The new nodes of the graph."""
        self._added: list[onnx.TensorProto] = []  # constants in another axis order
        self._equal: dict[str, str] = {}  # tensors that turned out to equal another one
        self._outputs: dict[str, str] = {}  # tensors that turned out to be an output of the graph
        self._model = model
        self._through = through
        self._view = GraphView(model)
        self._taken = set(self._view.initializers)
        self._moved: dict[str, _Moved] = {}
        self._names: dict[_Moved, str] = {}
        self._written: dict[_Moved, str] = {}
        graph = model.proto.graph
        for node in graph.node:
            copy = deepcopy(node)
            if not self._sinks(copy):
                for name in reads(copy):
                    self._need(name)
                self.nodes.append(copy)
        kept = {value.name for value in [*graph.input, *graph.output]} | self._taken
        for value in graph.output:
            self._end(value.name, kept)

    def take_over(self) -> None:
        """Put the nodes in the place of the graph's own."""
        graph = self._model.proto.graph
        gone = {*self._equal, *self._outputs}
        known = [value for value in graph.value_info if value.name not in gone]
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.value_info.extend(known)
        graph.initializer.extend(self._added)
        rename_values(graph, self._equal)
        rename_values(graph, self._outputs)
        prune_model(self._model)

    def _sinks(self, node: onnx.NodeProto) -> bool:
        """Whether a node needs no Transpose before it; it is written as it is to be, then."""
        moved = [self._moved[name] for name in node.input if name in self._moved]
        kind = node.op_type if is_onnx(node) else ""
        if kind == "Transpose" and "perm" in attributes(node):
            source, name = node.input[0], node.output[0]
            base = moved[0] if moved else None
            order = tuple(attributes(node)["perm"].ints)
            found = _Moved(source, order) if base is None else _Moved(
                base.source, compose(order, base.order)
            )  # fmt: skip
            self._moved[name] = found
            self._names.setdefault(found, node.name)
            return True
        if not moved or len(node.output) != 1 or len({found.order for found in moved}) != 1:
            return False
        order = moved[0].order
        if not kind or not self._through(node, order):
            return False
        if kind == "Shape":
            return self._sees_one_size(node, moved[0])
        if kind in _REDUCTIONS:
            return self._reduces(node, moved[0])
        if _is_plain(order) or not self._moves_inputs(node, order):
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

    def _reduces(self, node: onnx.NodeProto, moved: _Moved) -> bool:
        """A reduction along known axes drops them of the source; the others are left to move."""
        order, rank = moved.order, len(moved.order)
        axes = self._axes(node)
        if not axes or not all(-rank <= axis < rank for axis in axes):
            return False
        reduced = sorted(order[axis] for axis in axes)
        left = order
        if not attribute_of(node, "keepdims", 1):
            kept = [axis for axis in order if axis not in reduced]
            left = tuple(sorted(kept).index(axis) for axis in kept)
        if "axes" in attributes(node):
            set_attribute(node, "axes", reduced)
        else:
            node.input[1] = self._constant(np.array(reduced, np.int64))
        node.input[0], name = moved.source, node.output[0]
        if not _is_plain(left):
            node.output[0] = f"{name}/reduced"
            self._moved[name] = _Moved(node.output[0], left)
        self.nodes.append(node)
        return True

    def _axes(self, node: onnx.NodeProto) -> list[int]:
        """The axes that a reduction names; none where it names none that are known."""
        if named := attribute_of(node, "axes", ()):
            return list(named)
        known = read_constant(self._view, node.input[1]) if len(node.input) > 1 else None
        return [] if known is None else [int(axis) for axis in known.values.reshape(-1)]

    def _constant(self, values: Array) -> str:
        """A new constant; its name."""
        name = free_name("prelu_tools/sunk", self._taken)
        self._added.append(self._model.tensor(name, np.ascontiguousarray(values)))
        return name

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
        """An input as it is before a Transpose; None if that is not known."""
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
            return self._constant(laid)
        if constant is None and shape is not None and len(shape) == len(order):
            return self._transposed(_Moved(name, inverse(order)), None)
        return None

    def _need(self, name: str) -> None:
        """Write a tensor that something reads as it is."""
        moved = self._moved.get(name)
        if moved is None or name in self._equal:
            return
        found = moved.source if _is_plain(moved.order) else self._transposed(moved, name)
        if found != name:
            self._equal[name] = found

    def _transposed(self, moved: _Moved, name: str | None) -> str:
        """The name of a tensor that is transposed, once for all that need it."""
        if moved not in self._written:
            target = name or f"{moved.source}/{''.join(map(str, moved.order))}"
            self._written[moved] = target
            self.nodes.append(
                helper.make_node(
                    "Transpose", [moved.source], [target], self._names.get(moved), perm=moved.order
                )
            )
        return self._written[moved]

    def _end(self, name: str, kept: Container[str]) -> None:
        """Write an output of the graph, under its name."""
        self._need(name)
        found = self._equal.pop(name, name)
        if found == name:
            return
        if found in kept or found in self._outputs:
            self.nodes.append(helper.make_node("Identity", [found], [name]))
        else:
            self._outputs[found] = name


def _is_plain(order: Permutation) -> bool:
    return order == tuple(range(len(order)))
