"""Nodes that draw random numbers, and nodes that use statistics of the whole batch.

A runtime may or may not remove such a node: onnxruntime's optimizer removes a Dropout in training
mode in some places, and runs it in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import onnx

from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import OWN, attribute_of, bodies, every_node, needed

_SPREAD: Final = {"RandomNormal": "scale", "RandomNormalLike": "scale"}
_DRAWING: Final = {*_SPREAD, "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
_MODES: Final = {"Dropout": 2, "BitmaskDropout": 2, "BiasDropout": 4, "BitmaskBiasDropout": 4}
"""Operators that drop values, and the input that says whether they do."""
_TRAINS_BY_DEFAULT: Final = 7  # before this opset Dropout acts unless is_test says otherwise
_MODE_IS_INPUT: Final = 12
_MODE_IS_ATTRIBUTE: Final = 14  # of BatchNormalization; before that its number of outputs said it


_Judge = Callable[[GraphView, onnx.NodeProto], "bool | None"]


class TrainingNode(NamedTuple):
    """A node that behaves as in training."""

    name: str
    """The node's name, or that of its output."""
    op: str
    """Its operator."""
    is_certain: bool = True
    """False if a value that only a run knows decides it."""

    @property
    def text(self) -> str:
        """Name and operator."""
        return f"node {self.name!r} ({self.op})"

    @property
    def drops(self) -> bool:
        """Whether it is a Dropout: in inference it should do nothing."""
        return self.op in _MODES


def random_nodes(model: OnnxModel) -> tuple[TrainingNode, ...]:
    """Nodes that draw random numbers which an output can depend on.

    In the main graph, in bodies of If, Loop and Scan, and in local functions; a Dropout counts
    where its training mode is on. A branch that its constant condition never takes does not count.

    Raises:
        PReLUToolsError: functions cannot be inlined.
    """
    return _found(model, {*_DRAWING, *_MODES}, _random)


def batch_nodes(model: OnnxModel) -> tuple[TrainingNode, ...]:
    """BatchNormalization nodes that use the statistics of the batch; see `random_nodes`."""
    return _found(model, {"BatchNormalization"}, _uses_batch)


def _found(model: OnnxModel, operators: set[str], acts: _Judge) -> tuple[TrainingNode, ...]:
    if not any(node.op_type in operators for node in every_node(model.proto)):
        return ()
    whole = replace(model, proto=inlined(model.proto))
    found = []
    for view, node in live_nodes(GraphView(whole, typed=True)):
        if node.op_type in operators and node.domain in (*OWN, "com.microsoft"):
            certain = acts(view, node)
            if certain is not False:
                name = node.name or next(output for output in node.output if output)
                found.append(TrainingNode(name, node.op_type, certain is True))
    return tuple(found)


def live_nodes(view: GraphView) -> Iterator[tuple[GraphView, onnx.NodeProto]]:
    """The nodes that an output of a graph depends on, and those of the bodies in it.

    For an If with a constant condition, only the branch that runs counts.
    """
    used = needed(view.graph)
    for node in view.graph.node:
        if not used.isdisjoint(node.output):
            yield view, node
            for body in _bodies_that_run(view, node):
                yield from live_nodes(GraphView(view.model, body, view))


def _bodies_that_run(view: GraphView, node: onnx.NodeProto) -> list[onnx.GraphProto]:
    found = bodies(node)
    if node.op_type != "If" or len(found) != 2:
        return found
    condition = values_of(view, node.input[0])
    if condition is None or condition.size != 1:
        return found
    wanted = "then_branch" if condition.reshape(-1)[0] else "else_branch"
    return [attribute_of(node, wanted)]


def _random(view: GraphView, node: onnx.NodeProto) -> bool | None:
    """Whether a node draws random numbers; None if only a run knows."""
    if node.op_type in _MODES:
        return _drops(view, node)
    return bool(attribute_of(node, _SPREAD.get(node.op_type, ""), 1.0) != 0.0)


def _drops(view: GraphView, node: onnx.NodeProto) -> bool | None:
    if node.op_type == "Dropout" and view.model.opset < _MODE_IS_INPUT:
        return view.model.opset < _TRAINS_BY_DEFAULT and not attribute_of(node, "is_test", 0)
    place = _MODES[node.op_type]
    if len(node.input) <= place or not node.input[place]:
        return False
    mode = values_of(view, node.input[place])
    ratio = values_of(view, node.input[place - 1]) if node.input[place - 1] else None
    if (mode is not None and not mode.any()) or (ratio is not None and not ratio.any()):
        return False
    return None if mode is None else True


def _uses_batch(view: GraphView, node: onnx.NodeProto) -> bool:
    if view.model.opset >= _MODE_IS_ATTRIBUTE:
        return bool(attribute_of(node, "training_mode", 0))
    if view.model.opset < _TRAINS_BY_DEFAULT:
        return not attribute_of(node, "is_test", 0)
    return sum(bool(name) for name in node.output) > 1
