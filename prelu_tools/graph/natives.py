"""What onnx's own library does with a graph: it fails on broken ones in many ways."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, inliner, shape_inference

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the nodes of local functions in the place of their calls; itself without any.

    Raises:
        PReLUToolsError: that cannot be done.
    """
    if not proto.functions:
        return proto
    try:
        found: onnx.ModelProto = inliner.inline_local_functions(proto)
    except Exception as error:
        raise PReLUToolsError(
            f"the model's functions cannot be put in the place of their calls by onnx "
            f"{onnx.__version__} ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
    return found


def inferred(proto: onnx.ModelProto, data_prop: bool = False) -> onnx.ModelProto:
    """The model with the types that shape inference finds; as it is where that fails."""
    try:
        found: onnx.ModelProto = shape_inference.infer_shapes(proto, data_prop=data_prop)
    except Exception:
        return proto
    return found


def computed(
    proto: onnx.ModelProto, node: onnx.NodeProto, tensor: str, inputs: Sequence[Array | None]
) -> Array | None:
    """One output of one node by onnx's reference implementation; None where that fails.

    Args:
        proto: the model, for its opsets.
        node: the node.
        tensor: which of its outputs.
        inputs: one for each of its inputs, None for one that is left out.
    """
    from onnx.reference import ReferenceEvaluator  # 0.1 s, for what is rare

    feeds = {name: x for name, x in zip(node.input, inputs, strict=True) if x is not None}
    values = [helper.make_tensor_value_info(name, 0, None) for name in feeds]
    outputs = [helper.make_tensor_value_info(tensor, 0, None)]
    graph = helper.make_graph([node], "node", values, outputs)
    try:
        model = helper.make_model(graph, opset_imports=proto.opset_import)
        (found,) = ReferenceEvaluator(model).run(None, feeds)
    except Exception:
        return None
    return found if isinstance(found, np.ndarray) else None
