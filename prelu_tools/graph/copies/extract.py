"""A part of a graph as a separate model."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.graph.match.layers import LocatedLayer
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import reads

_FARTHEST = 16  # nodes before the layer


def extract_around(located: LocatedLayer) -> tuple[onnx.ModelProto, tuple[str, ...], str]:
    """The nodes and weights up to and including the first call of a layer.

    Args:
        located: a layer of a main graph.

    Returns:
        The model; the names of its inputs, which are outputs of the PReLU before, of nodes farther
        away, or inputs of the graph; and the name of its output.
    """
    view, match = located.calls[0]
    output = match.node.output[0]
    nodes = _before(view, output)
    made = {name for node in nodes for name in node.output}
    used = dict.fromkeys(name for node in nodes for name in reads(node) if name not in made)
    weights = [name for name in used if name in view.initializers]
    inputs = [name for name in used if name not in view.initializers]
    values = [_value(view, name) for name in (*inputs, output)]
    graph = helper.make_graph(
        nodes, "around", values[:-1], values[-1:], [_inline(view, name) for name in weights]
    )
    proto = view.model.proto
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    return model, tuple(inputs), output


def _before(view: GraphView, output: str) -> list[onnx.NodeProto]:
    """The nodes that make a tensor, up to the PRelu before, in the order of the graph."""
    wanted: set[int] = set()
    places = {id(node): place for place, node in enumerate(view.graph.node)}
    stack, live = [output], 0
    while stack:
        name = stack.pop(0)
        node = view.producer.get(name)
        if node is None or id(node) not in places or places[id(node)] in wanted:
            continue
        constant = view.is_constant(name)
        stop = node.op_type == "PRelu" and name != output
        if not constant and (stop or live >= _FARTHEST):
            continue
        wanted.add(places[id(node)])
        live += not constant
        stack += reads(node)
    return [node for place, node in enumerate(view.graph.node) if place in wanted]


def _value(view: GraphView, name: str) -> onnx.ValueInfoProto:
    kind = view.element_type(name) or TensorProto.FLOAT
    shape = view.shape(name)
    return helper.make_tensor_value_info(name, kind, shape)


def _inline(view: GraphView, name: str) -> onnx.TensorProto:
    """An initializer with its values in it."""
    tensor = view.initializers[name]
    return numpy_helper.from_array(view.model.values(tensor), name)
