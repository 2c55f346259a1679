"""Transposes, Reshapes and Casts that a graph written by hand would not have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.options import InputLayout
from prelu_tools.core.prelu.layout import Layout, Permutation, from_layouts, inverse
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, set_nodes, users_of

_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2")


def move_inputs(graph: onnx.GraphProto, source: Layout, wanted: InputLayout) -> None:
    """Give inputs of rank 3 and more another axis order, with a Transpose behind each, in place.

    Args:
        graph: a main graph.
        source: the axis order of its inputs, `nchw` or `nhwc`.
        wanted: the one to give them; `keep` changes nothing.
    """
    if wanted == "keep" or wanted == source:
        return
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        perm = from_layouts(wanted, source, len(dims))
        if len(dims) < 3:
            continue
        kept = f"{value.name}/{source}"
        rename_values(graph, {value.name: kept})
        moved = [onnx.TensorShapeProto.Dimension.FromString(dims[axis].SerializeToString())
                 for axis in inverse(perm)]  # fmt: skip
        value.name = kept.removesuffix(f"/{source}")
        del dims[:]
        dims.extend(moved)
        graph.node.insert(0, _transpose(value.name, kept, perm))


def reduce_before_transposing(model: OnnxModel) -> None:
    """Let a reduction see its input as it was before a Transpose, in place.

    What it leaves of the Transpose goes behind it; where it drops the axes that were moved, nothing
    is left.
    """
    graph = model.proto.graph
    view = GraphView(model)
    users, outputs = users_of(graph), {value.name for value in graph.output}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        nodes.append(node)
        before = view.producer.get(node.input[0]) if node.op_type in _REDUCTIONS else None
        if (
            before is None
            or before.op_type != "Transpose"
            or len(users[node.input[0]]) > 1
            or node.input[0] in outputs
        ):
            continue
        perm = attribute_of(before, "perm", ())
        axes = _axes_of(view, node)
        if axes is None or not perm or any(abs(axis) > len(perm) for axis in axes):
            continue
        moved = [perm[axis % len(perm)] for axis in axes]
        _set_axes(model, node, moved, number)
        node.input[0] = before.input[0]
        left = _left_of(perm, moved, bool(attribute_of(node, "keepdims", 1)))
        if left != tuple(range(len(left))):
            own = f"{node.output[0]}/reduced"
            nodes.append(_transpose(own, node.output[0], left))
            node.output[0] = own
    set_nodes(graph, nodes)
    prune_model(model)


def drop_idle_reshapes(model: OnnxModel) -> None:
    """Take away each Reshape to the shape that its input has already, in place."""
    view = GraphView(model)

    def is_idle(node: onnx.NodeProto) -> bool:
        shape = view.shape(node.input[0])
        if shape is None or shape.count(None) > 1 or shape != view.shape(node.output[0]):
            return False
        return read_constant(view, node.input[1]) is not None

    _drop(model, "Reshape", is_idle)


def drop_idle_casts(model: OnnxModel) -> None:
    """Take away each Cast to the type that its input has already, in place."""
    view = GraphView(model)
    _drop(model, "Cast", lambda n: view.element_type(n.input[0]) == attribute_of(n, "to", 0))


def _drop(model: OnnxModel, kind: str, is_idle: Callable[[onnx.NodeProto], bool]) -> None:
    """Take away nodes of a kind that give what they are given, unless it is an output."""
    graph = model.proto.graph
    outputs = {value.name for value in graph.output}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == kind and node.output[0] not in outputs and is_idle(node):
            names[node.output[0]] = names.get(node.input[0], node.input[0])
    rename_values(graph, names)  # the nodes themselves make what they read now
    set_nodes(graph, [n for n in graph.node if n.op_type != kind or n.input[0] != n.output[0]])
    prune_model(model)


def _left_of(perm: Permutation, reduced: list[int], keepdims: bool) -> Permutation:
    """What a reduction along these axes (before the Transpose) leaves of a Transpose."""
    if keepdims:
        return perm
    kept = [axis for axis in perm if axis not in reduced]
    places = {axis: place for place, axis in enumerate(sorted(kept))}
    return tuple(places[axis] for axis in kept)


def _axes_of(view: GraphView, node: onnx.NodeProto) -> list[int] | None:
    """The axes that a reduction names; None where it names none that are known."""
    if named := attribute_of(node, "axes", ()):
        return [int(axis) for axis in named]
    if len(node.input) < 2 or not node.input[1]:
        return None
    constant = read_constant(view, node.input[1])
    return None if constant is None else [int(axis) for axis in constant.values.reshape(-1)]


def _set_axes(model: OnnxModel, node: onnx.NodeProto, axes: list[int], number: int) -> None:
    for attribute in node.attribute:
        if attribute.name == "axes":
            del attribute.ints[:]
            attribute.ints.extend(sorted(axes))
            return
    name = f"prelu_tools/axes_{number}"
    model.proto.graph.initializer.append(model.tensor(name, np.array(sorted(axes), np.int64)))
    node.input[1] = name


def _transpose(source: str, target: str, perm: Permutation) -> onnx.NodeProto:
    return helper.make_node("Transpose", [source], [target], name=target, perm=list(perm))
