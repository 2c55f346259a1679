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
    """The model with the types that shape inference finds; as it is where that fails.

    What a file states of its own tensors may be out of date (axes that were moved, a batch that was
    freed), and runtimes pass over it. It counts only where inference finds nothing: behind an
    operator that onnx does not know.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    stated = list(proto.graph.value_info)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        found: onnx.ModelProto = shape_inference.infer_shapes(bare, data_prop=data_prop)
        known = {value.name for value in found.graph.value_info if _has_shape(value)}
        left = [value for value in stated if value.name not in known and _has_shape(value)]
        if left:
            names = {value.name for value in left}
            kept = [value for value in found.graph.value_info if value.name not in names]
            del bare.graph.value_info[:]
            bare.graph.value_info.extend([*kept, *left])
            found = shape_inference.infer_shapes(bare, data_prop=data_prop)
    except Exception:
        return proto
    for value, declared in zip(found.graph.output, proto.graph.output, strict=True):
        _complete(value, declared)
    return found


def _has_shape(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.HasField("shape")


def _complete(value: onnx.ValueInfoProto, declared: onnx.ValueInfoProto) -> None:
    """Give an output the shape, or the sizes, that it is declared with and inference left open."""
    if not _has_shape(declared) or not value.type.HasField("tensor_type"):
        return
    own, other = value.type.tensor_type.shape, declared.type.tensor_type.shape
    if not _has_shape(value):
        own.CopyFrom(other)
        return
    if len(own.dim) == len(other.dim):
        for found, stated in zip(own.dim, other.dim, strict=True):
            if not found.HasField("dim_value"):
                found.CopyFrom(stated)
