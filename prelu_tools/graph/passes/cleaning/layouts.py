"""Transposes, Reshapes and Casts that a graph written by hand would not have."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import helper

from prelu_tools.core.options import InputLayout
from prelu_tools.core.prelu.layout import Layout, Permutation, from_layouts, inverse
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, set_nodes


def move_inputs(graph: onnx.GraphProto, source: Layout, wanted: InputLayout) -> None:
    """Give inputs of rank 3 and more another axis order, with a Transpose after each, in place.

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
    """Remove nodes of a kind that return their input, except at outputs."""
    graph = model.proto.graph
    outputs = {value.name for value in graph.output}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == kind and node.output[0] not in outputs and is_idle(node):
            names[node.output[0]] = names.get(node.input[0], node.input[0])
    rename_values(graph, names)  # the nodes themselves make what they read now
    set_nodes(graph, [n for n in graph.node if n.op_type != kind or n.input[0] != n.output[0]])
    prune_model(model)


def _transpose(source: str, target: str, perm: Permutation) -> onnx.NodeProto:
    return helper.make_node("Transpose", [source], [target], name=target, perm=list(perm))
