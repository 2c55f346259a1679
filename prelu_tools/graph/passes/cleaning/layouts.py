"""Transposes, Reshapes and Casts that a graph written by hand would not have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import onnx
from onnx import helper

from prelu_tools.core.options import WantedLayout
from prelu_tools.core.prelu.layout import (
    BoundaryAxes,
    Layout,
    Permutation,
    from_layouts,
    inverse,
)
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of, set_nodes


def move_inputs(
    graph: onnx.GraphProto, source: Layout, wanted: WantedLayout, weights: Collection[str] = ()
) -> None:
    """Give inputs another axis order, with a Transpose after each, in place.

    Args:
        graph: a main graph.
        source: the axis order of its inputs, `nchw` or `nhwc`.
        wanted: the one to give them; `keep` changes nothing.
        weights: inputs that are weights, and stay as they are.
    """
    if wanted == "keep" or wanted == source:
        return
    for value in inputs_with_layout(graph, weights):
        kept, order = _move(graph, value, source, wanted)
        graph.node.insert(0, _transpose(value.name, kept, inverse(order)))


def move_outputs(
    graph: onnx.GraphProto, source: Layout, wanted: WantedLayout, weights: Collection[str] = ()
) -> None:
    """Give outputs another axis order, with a Transpose before each, in place.

    Args:
        graph: a main graph; its inputs may have been moved.
        source: the axis order of its outputs, `nchw` or `nhwc`.
        wanted: the one to give them; `keep` changes nothing.
        weights: inputs that are weights.
    """
    if wanted == "keep" or wanted == source:
        return
    for value in outputs_with_layout(graph, weights):
        kept, order = _move(graph, value, source, wanted)
        graph.node.append(_transpose(kept, value.name, order))


def inputs_with_layout(
    graph: onnx.GraphProto, weights: Collection[str] = ()
) -> list[onnx.ValueInfoProto]:
    """The inputs but these weights that have channels and positions, so that they have a layout."""
    return [value for value in graph.input if _rank(value) >= 3 and value.name not in weights]


def outputs_with_layout(
    graph: onnx.GraphProto, weights: Collection[str] = ()
) -> list[onnx.ValueInfoProto]:
    """The outputs that have channels and positions.

    Of rank 3 only where an input has that rank: next to images, [N, boxes, 4] has no channels.
    """
    least = min((_rank(value) for value in inputs_with_layout(graph, weights)), default=4)
    return [value for value in graph.output if _rank(value) >= min(least, 4)]


def boundary_axes(
    graph: onnx.GraphProto,
    inputs: tuple[Layout, Layout] | None,
    outputs: tuple[Layout, Layout] | None,
) -> BoundaryAxes:
    """How the axes of a graph's inputs and outputs were moved.

    Args:
        graph: a main graph whose inputs and outputs have been moved.
        inputs: their layouts in the source and in the graph; None where these are the same.
        outputs: likewise.
    """

    def moved(
        values: Sequence[onnx.ValueInfoProto], layouts: tuple[Layout, Layout] | None
    ) -> dict[str, Permutation]:
        if layouts is None or layouts[0] == layouts[1]:
            return {}
        return {value.name: from_layouts(*layouts, _rank(value)) for value in values}

    return BoundaryAxes(
        moved(inputs_with_layout(graph), inputs), moved(outputs_with_layout(graph), outputs)
    )


def _rank(value: onnx.ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _move(
    graph: onnx.GraphProto, value: onnx.ValueInfoProto, source: Layout, wanted: Layout
) -> tuple[str, Permutation]:
    """Give an input or output other axes; the new name of what it was, and the order to them."""
    name, dims = value.name, value.type.tensor_type.shape.dim
    order = from_layouts(source, wanted, len(dims))
    kept = f"{name}/{source}"
    rename_values(graph, {name: kept})
    moved = [onnx.TensorShapeProto.Dimension.FromString(dims[axis].SerializeToString())
             for axis in order]  # fmt: skip
    value.name = name
    del dims[:]
    dims.extend(moved)
    return kept, order


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
