"""The inputs and outputs that a graph states."""

from __future__ import annotations

from contextlib import suppress

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption, ModelOutput, free_size


def tensor_inputs(graph: onnx.GraphProto) -> tuple[InputOption, ...]:
    """Names, shapes and types of a graph's inputs that are tensors, without its weights.

    Raises:
        PReLUToolsError: see `input_of`.
    """
    weights = {tensor.name for tensor in graph.initializer}
    return tuple(
        input_of(value)
        for value in graph.input
        if value.name not in weights and value.type.HasField("tensor_type")
    )


def input_of(value: onnx.ValueInfoProto) -> InputOption:
    """An input of a graph; a dynamic size without a name gets one.

    Raises:
        PReLUToolsError: it has no type of numpy's.
    """
    kind = value.type.tensor_type
    sizes = [
        dim.dim_value if is_known(dim) else dim.dim_param or free_size(value.name, axis)
        for axis, dim in enumerate(kind.shape.dim)
    ]
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except (KeyError, ValueError, TypeError) as error:
        raise PReLUToolsError(
            f"input {value.name!r} is of type {kind.elem_type}, which is not supported"
        ) from error
    return InputOption(value.name, tuple(sizes), str(dtype))


def tensor_outputs(graph: onnx.GraphProto) -> tuple[ModelOutput, ...]:
    """Names, shapes and types of a graph's outputs that are tensors of a type of numpy's."""
    found = []
    for value in graph.output:
        kind = value.type.tensor_type
        with suppress(KeyError, ValueError, TypeError):
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
            shape = tuple(
                dim.dim_value if is_known(dim) else dim.dim_param or "?" for dim in kind.shape.dim
            )
            stated = shape if kind.HasField("shape") else None
            found.append(ModelOutput(value.name, stated, str(dtype)))
    return tuple(found)


def is_known(dim: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether a dimension has a size; exporters write -1 for one that is dynamic."""
    return dim.HasField("dim_value") and dim.dim_value >= 0
