"""What onnx's own library does with a graph: it fails on broken ones in many ways."""

from __future__ import annotations

import onnx
from onnx import inliner, shape_inference

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
