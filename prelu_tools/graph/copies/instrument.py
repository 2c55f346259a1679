"""Copies of a graph with inner tensors as outputs and slopes as inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy

import onnx
from onnx import helper

from prelu_tools.graph.copies.carrying import BodyPath, body_at
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.natives import with_shapes
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
    proto: onnx.ModelProto, calls: Sequence[tuple[BodyPath, Match]]
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model with each of these PReLUs as a PRelu node whose slope is an input of the graph.

    The inputs have no shape, so that a slope of another shape can be tried.

    Args:
        proto: the model.
        calls: its PReLU, and the graphs that they are in.

    Returns:
        The copy, with the bodies of the model, and the names of the new inputs, in the order of the
        calls.
    """
    copy = deepcopy(proto)
    names = []
    graphs = [body_at(copy.graph, path) for path, _ in calls]
    for number, (graph, (_, match)) in enumerate(zip(graphs, calls, strict=True)):
        name = f"prelu_tools/slope_{number}"
        names.append(name)
        kind = helper.np_dtype_to_tensor_dtype(match.slopes.dtype)
        copy.graph.input.append(helper.make_tensor_value_info(name, kind, None))
        replace_by_prelu(graph, match, name)
    if not any(path for path, _ in calls):
        prune(copy.graph)
    return copy, tuple(names)


def tensor_bytes(
    proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], tensors: Sequence[str]
) -> list[int]:
    """How many bytes tensors of the main graph have for inputs of these shapes, as inferred."""
    view = GraphView(OnnxModel(with_shapes(proto, shapes), None))
    return [_bytes(view, name) for name in tensors]


def _bytes(view: GraphView, name: str) -> int:
    kind, shape = view.element_type(name), view.shape(name)
    if kind is None or shape is None:
        return _UNKNOWN
    sizes = [size for size in shape if size is not None]
    itemsize = helper.tensor_dtype_to_np_dtype(kind).itemsize
    return math.prod(sizes) * itemsize if len(sizes) == len(shape) else _UNKNOWN


def single_layers(calls: Sequence[tuple[str, GraphView, Match]]) -> onnx.ModelProto:
    """A model that consists of these PReLUs, each in its own form, with its own input.

    Args:
        calls: a name for each, the graph that it is in, and the PReLU; inputs are called `name/x`,
            outputs `name/y`.
    """
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    inputs, outputs = [], []
    done: set[str] = set()
    for name, view, match in calls:
        kind = element_type(view, match)
        inputs.append(helper.make_tensor_value_info(f"{name}/x", kind, None))
        outputs.append(helper.make_tensor_value_info(f"{name}/y", kind, None))
        own = list({id(node): node for node in reversed(match.nodes)}.values())
        names = {o: f"{name}/{o}" for node in own for o in node.output}
        names |= {match.x: f"{name}/x", match.node.output[0]: f"{name}/y"}
        needed = [i for node in own for i in node.input if i and i not in names]
        for found in _constants(view, needed, name, done):
            if isinstance(found, onnx.TensorProto):
                tensors.append(found)
            else:
                nodes.append(found)
        names |= {i: _label(view, i, name) for i in needed}
        for node in own:
            nodes.append(_renamed(node, names))
            nodes[-1].name = f"{name}/{node.output[0]}"
    graph = helper.make_graph(nodes, "layers", inputs, outputs, tensors)
    proto = calls[0][1].model.proto
    return helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def element_type(view: GraphView, match: Match) -> int:
    """The `TensorProto.DataType` of a PReLU's input."""
    return view.element_type(match.x) or helper.np_dtype_to_tensor_dtype(match.slopes.dtype)


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    copy = deepcopy(node)
    copy.input[:] = [names.get(i, i) for i in node.input]
    copy.output[:] = [names.get(o, o) for o in node.output]
    return copy


def _label(view: GraphView, name: str, layer: str) -> str:
    """The name of a constant in the model of single layers: bodies may share names."""
    home, place = view.home(name)
    return place if home.outer is None else f"{layer}/{place}"


def _constants(
    view: GraphView, names: Iterable[str], layer: str, done: set[str]
) -> Iterator[onnx.TensorProto | onnx.NodeProto]:
    """Copies of the initializers and nodes that constants come from, in an order that runs.

    Args:
        view: the graph that the names are of.
        names: the constants.
        layer: the layer that needs them.
        done: the labels of those that are there already; what is added goes there.
    """
    left = [(view, name, False) for name in reversed(list(names))]
    while left:
        inside, name, is_due = left.pop()
        home, place = inside.home(name)
        label, node = _label(home, place, layer), home.producer.get(place)
        if label in done and not is_due:
            continue
        done.add(label)
        if place in home.initializers:
            tensor = deepcopy(home.initializers[place])
            tensor.name = label
            yield tensor
        elif node is not None and is_due:
            used = [n for n in [*node.input, *node.output] if n]
            yield _renamed(node, {n: _label(home, n, layer) for n in used})
        elif node is not None:
            left.append((home, place, True))
            left += [(home, i, False) for i in node.input if i]
            done.update(_label(home, o, layer) for o in node.output if o)
