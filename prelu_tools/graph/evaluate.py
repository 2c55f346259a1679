"""Small tensors that do not depend on the inputs of a model: conditions, modes, ratios."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.constants import read_constant
from prelu_tools.graph.prune import bodies
from prelu_tools.graph.view import GraphView

_MOST_NODES = 64
_LARGEST = 1 << 16  # elements of a tensor that takes part


def evaluate(view: GraphView, tensor: str) -> Array | None:
    """The values of a tensor that depends on constants only.

    Returns:
        None where it depends on an input, on sizes, or on more than a few small constants.
    """
    try:
        constant = read_constant(view, tensor)
    except PReLUToolsError:
        return None
    if constant is not None:
        return constant.values
    nodes = _makers(view, tensor)
    return None if nodes is None else _computed(view, nodes, tensor)


def _makers(view: GraphView, tensor: str) -> list[onnx.NodeProto] | None:
    """The nodes that make a tensor of constants, in order; None where an input takes part."""
    done: dict[int, onnx.NodeProto] = {}
    stack = [(tensor, False)]
    while stack:
        name, is_ready = stack.pop()
        node = view.maker(name)
        if name in view.initializers:
            if int(np.prod(view.initializers[name].dims, dtype=np.int64)) > _LARGEST:
                return None
        elif node is None or bodies(node) or node.op_type.startswith(("Random", "Bernoulli")):
            return None
        elif is_ready:
            done.setdefault(id(node), node)
        elif id(node) not in done:
            if len(stack) > _MOST_NODES:
                return None
            stack.append((name, True))
            stack += [(needed, False) for needed in node.input if needed]
        if len(done) > _MOST_NODES:
            return None
    return list(done.values())


def _computed(view: GraphView, nodes: list[onnx.NodeProto], tensor: str) -> Array | None:
    from onnx.reference import ReferenceEvaluator  # slow to import, and seldom needed

    used = dict.fromkeys(name for node in nodes for name in node.input if name)
    constants = [
        numpy_helper.from_array(np.array(view.model.values(view.initializers[name])), name)
        for name in used
        if name in view.initializers
    ]
    output = helper.make_tensor_value_info(tensor, onnx.TensorProto.UNDEFINED, None)
    graph = helper.make_graph(nodes, "constants", [], [output], constants)
    opsets = view.model.proto.opset_import
    try:
        model = helper.make_model(graph, opset_imports=opsets)
        (found,) = ReferenceEvaluator(model).run([tensor], {})
    except Exception:  # onnx raises anything for what it does not implement
        return None
    return np.asarray(found)
