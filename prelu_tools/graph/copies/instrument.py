"""Copies of a graph that can be looked into: tensors from inside it, and slopes from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

import onnx
from onnx import helper

from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.natives import inferred, with_shapes
from prelu_tools.graph.passes.canonical import replace_by_prelu
from prelu_tools.graph.passes.prune import prune
from prelu_tools.graph.view import GraphView

_UNKNOWN = 16 << 20  # bytes to count for a tensor of unknown shape


def tapped(proto: onnx.ModelProto, tensors: Iterable[str]) -> onnx.ModelProto:
    """The model with these tensors of its main graph as outputs too."""
    copy = deepcopy(proto)
    outputs = {value.name for value in copy.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in outputs:
            copy.graph.output.add(name=name)
    return copy


def with_slopes_as_inputs(
    proto: onnx.ModelProto, matches: Sequence[Match]
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model with each of these PReLU as a PRelu node whose slope is an input of the graph.

    The inputs have no shape, so that a slope of another shape can be tried.

    Args:
        proto: the model.
        matches: PReLU of its main graph.

    Returns:
        The copy, and the names of the new inputs, in the order of the matches.
    """
    copy = deepcopy(proto)
    names = []
    for number, match in enumerate(matches):
        name = f"prelu_tools/slope_{number}"
        names.append(name)
        kind = helper.np_dtype_to_tensor_dtype(match.slopes.dtype)
        copy.graph.input.append(helper.make_tensor_value_info(name, kind, None))
        replace_by_prelu(copy.graph, match, name)
    prune(copy.graph)
    return copy, tuple(names)


def tensor_bytes(
    proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], tensors: Sequence[str]
) -> list[int]:
    """How many bytes tensors of the main graph have for inputs of these shapes, as inferred."""
    graph = inferred(with_shapes(proto, shapes)).graph
    known = {v.name: v.type for v in [*graph.input, *graph.value_info, *graph.output]}
    return [_bytes(known.get(name)) for name in tensors]


def _bytes(kind: onnx.TypeProto | None) -> int:
    if kind is None or not kind.tensor_type.HasField("shape"):
        return _UNKNOWN
    size = 1
    for dim in kind.tensor_type.shape.dim:
        if not dim.HasField("dim_value"):
            return _UNKNOWN
        size *= dim.dim_value
    return size * helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).itemsize


def single_layers(view: GraphView, matches: Sequence[tuple[str, Match]]) -> onnx.ModelProto:
    """A model of nothing but these PReLU, each in its own form, with an input of its own.

    Args:
        view: the graph that they are in.
        matches: a name for each, and the PReLU; inputs are called `name/x`, outputs `name/y`.
    """
    nodes: list[onnx.NodeProto] = []
    tensors: dict[str, onnx.TensorProto] = {}
    inputs, outputs = [], []
    for name, match in matches:
        kind = view.element_type(match.x) or helper.np_dtype_to_tensor_dtype(match.slopes.dtype)
        inputs.append(helper.make_tensor_value_info(f"{name}/x", kind, None))
        outputs.append(helper.make_tensor_value_info(f"{name}/y", kind, None))
        own = list({id(node): node for node in reversed(match.nodes)}.values())
        renamed = {match.x: f"{name}/x", match.node.output[0]: f"{name}/y"}
        for node in own:
            renamed |= {o: f"{name}/{o}" for o in node.output if o not in renamed}
        needed = [i for node in own for i in node.input if i and i not in renamed]
        nodes += _constants(view, needed, tensors, {o for node in nodes for o in node.output})
        for node in own:
            copy = deepcopy(node)
            copy.name = f"{name}/{node.output[0]}"
            copy.input[:] = [renamed.get(i, i) for i in node.input]
            copy.output[:] = [renamed.get(o, o) for o in node.output]
            nodes.append(copy)
    graph = helper.make_graph(nodes, "layers", inputs, outputs, list(tensors.values()))
    proto = view.model.proto
    return helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _constants(
    view: GraphView, names: Iterable[str], tensors: dict[str, onnx.TensorProto], made: set[str]
) -> list[onnx.NodeProto]:
    """The nodes that constants come from; initializers go to `tensors`."""
    nodes: list[onnx.NodeProto] = []
    for name in names:
        if name in tensors or name in made:
            continue
        if name in view.initializers:
            tensors[name] = view.initializers[name]
            continue
        node = view.producer.get(name)
        if node is not None:
            made.update(node.output)
            nodes += _constants(view, [i for i in node.input if i], tensors, made)
            nodes.append(node)
    return nodes
