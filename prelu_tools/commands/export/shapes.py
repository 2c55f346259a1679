"""The inputs that a written file has."""

from __future__ import annotations

import onnx

from prelu_tools.core.options import InputOption, free_size


def inputs_of(graph: onnx.GraphProto) -> tuple[InputOption, ...]:
    """Names, shapes and types of a graph's tensor inputs."""
    weights = {tensor.name for tensor in graph.initializer}
    return tuple(
        _option(value)
        for value in graph.input
        if value.name not in weights and value.type.HasField("tensor_type")
    )


def _option(value: onnx.ValueInfoProto) -> InputOption:
    kind = value.type.tensor_type
    sizes = [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or free_size(value.name, axis)
        for axis, dim in enumerate(kind.shape.dim)
    ]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return InputOption(value.name, tuple(sizes), str(dtype))
