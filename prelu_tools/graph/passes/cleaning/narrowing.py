"""Turn the 2D convolutions that TensorFlow uses for 1D ones back into 1D convolutions.

TensorFlow has no 1D convolution: Keras adds a dimension of size 1 to the input and removes it
afterwards. ONNX has one, and a graph written by hand would use it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.arithmetic import attributes
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import is_onnx, reads, set_attribute

_WINDOWS = ("Conv", "MaxPool", "AveragePool")


def narrow_convolutions(model: OnnxModel) -> None:
    """Take away dimensions of size 1 around convolutions and pools of the main graph, in place."""
    graph = model.proto.graph
    if not any(node.op_type == "Unsqueeze" for node in graph.node):
        return
    narrowing = _Narrowing(model)
    narrowing.run()
    del graph.node[:], graph.value_info[:]
    graph.node.extend(narrowing.nodes)
    graph.initializer.extend(narrowing.added)
    rename_values(graph, narrowing.equal)
    prune_model(model)


class _Lifted(NamedTuple):
    """A tensor that is another one with one more dimension, of size 1."""

    source: str
    axis: int
    """Where the dimension is."""


class _Narrowing:
    """One pass over a graph in its order: a dimension is written where something needs it."""

    def __init__(self, model: OnnxModel) -> None:
        self.nodes: list[onnx.NodeProto] = []
        """The new nodes of the graph."""
        self.added: list[onnx.TensorProto] = []
        """Kernels of fewer dimensions, and axes."""
        self.equal: dict[str, str] = {}
        """Tensors that turned out to equal another one."""
        self._model = model
        self._view = GraphView(model)
        self._lifted: dict[str, _Lifted] = {}
        self._written: set[str] = set()

    def run(self) -> None:
        """Take every node, then the outputs."""
        graph = self._model.proto.graph
        outputs = [value.name for value in graph.output]
        for node in graph.node:
            copy = deepcopy(node)
            if is_onnx(node) and self._narrows(copy, outputs):
                continue
            for name in reads(copy):
                self._need(name)
            self.nodes.append(copy)
        for name in outputs:
            self._need(name)

    def _narrows(self, node: onnx.NodeProto, outputs: list[str]) -> bool:
        """Whether a node is done with: it is written without the dimension, or not at all."""
        if not node.input or len(node.output) != 1:
            return False
        lifted = self._lifted.get(node.input[0])
        if node.op_type == "Unsqueeze" and lifted is None:
            axis = self._axis(node)
            if axis is not None:
                self._lifted[node.output[0]] = _Lifted(node.input[0], axis)
            return axis is not None
        if lifted is None:
            return False
        if node.op_type == "Squeeze" and self._axis(node) == lifted.axis:
            if node.output[0] in outputs:
                return False
            self.equal[node.output[0]] = self.equal.get(lifted.source, lifted.source)
            return True
        if node.op_type == "Transpose" and "perm" in attributes(node):
            return self._transposes(node, lifted)
        return node.op_type in _WINDOWS and self._convolves(node, lifted)

    def _axis(self, node: onnx.NodeProto) -> int | None:
        """The one axis of an Unsqueeze or Squeeze, counted from the front; None for others."""
        axes = read_constant(self._view, node.input[1]) if len(node.input) > 1 else None
        given = attributes(node).get("axes")
        found = list(given.ints) if given else [] if axes is None else axes.values.reshape(-1)
        shape = self._view.shape(node.output[0] if node.op_type == "Unsqueeze" else node.input[0])
        if len(found) != 1 or shape is None:
            return None
        return int(found[0]) % len(shape)

    def _transposes(self, node: onnx.NodeProto, lifted: _Lifted) -> bool:
        order = tuple(attributes(node)["perm"].ints)
        axis = order.index(lifted.axis)
        left = tuple(a - (a > lifted.axis) for a in order if a != lifted.axis)
        self._emit(node, _Lifted(lifted.source, axis))
        set_attribute(node, "perm", left)
        return True

    def _convolves(self, node: onnx.NodeProto, lifted: _Lifted) -> bool:
        place = lifted.axis - 2  # among the spatial ones
        shape = self._view.shape(node.input[0])
        if shape is None or place < 0 or not _is_idle(node, place, len(shape) - 2):
            return False
        if node.op_type == "Conv" and not self._cuts_kernel(node, lifted.axis):
            return False
        for name, attribute in attributes(node).items():
            if name == "pads":
                half = len(attribute.ints) // 2
                kept = [p for i, p in enumerate(attribute.ints) if i % half != place]
                set_attribute(node, name, kept)
            elif name in ("kernel_shape", "strides", "dilations"):
                set_attribute(node, name, [s for i, s in enumerate(attribute.ints) if i != place])
        self._emit(node, lifted)
        return True

    def _cuts_kernel(self, node: onnx.NodeProto, axis: int) -> bool:
        kernel = read_constant(self._view, node.input[1])
        if kernel is None or kernel.values.shape[axis] != 1:
            return False
        name = f"{node.output[0]}/narrow/weight"
        values = np.ascontiguousarray(kernel.values.squeeze(axis))
        self.added.append(self._model.tensor(name, values))
        node.input[1] = name
        return True

    def _emit(self, node: onnx.NodeProto, lifted: _Lifted) -> None:
        """Write a node that reads the narrower tensor and makes a narrower one."""
        node.input[0], name = lifted.source, node.output[0]
        node.output[0] = f"{name}/narrow"
        self._lifted[name] = _Lifted(node.output[0], lifted.axis)
        self.nodes.append(node)

    def _need(self, name: str) -> None:
        """Write a tensor that something reads with its dimension."""
        lifted = self._lifted.get(name)
        if lifted is None or name in self._written:
            return
        self._written.add(name)
        axes = f"{name}/narrow/axis"
        self.added.append(self._model.tensor(axes, np.array([lifted.axis], np.int64)))
        self.nodes.append(helper.make_node("Unsqueeze", [lifted.source, axes], [name], name=name))


def _is_idle(node: onnx.NodeProto, place: int, rank: int) -> bool:
    """Whether a window covers one spatial axis of size 1 and no more, whatever its stride."""
    given = {name: list(value.ints) for name, value in attributes(node).items()}
    if node.op_type != "Conv" and "kernel_shape" not in given:
        return False
    pads = given.get("pads") or [0] * 2 * rank
    size = (given.get("kernel_shape") or [1] * rank)[place]
    return size == 1 and pads[place] == pads[place + rank] == 0
