"""How many parameters a graph has, quantized or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import onnx

from prelu_tools.graph.match.regions import FLOATS
from prelu_tools.graph.quantized.operators import is_quantizing
from prelu_tools.graph.walk import every_node

_VALUES: Final[Mapping[str, tuple[int, ...]]] = {
    "ConvInteger": (0, 1), "MatMulInteger": (0, 1),
    "QLinearConv": (0, 3, 8), "QLinearMatMul": (0, 3), "QGemm": (0, 3, 6),
    "QLinearAdd": (0, 3), "QLinearMul": (0, 3),
    "DynamicQuantizeMatMul": (0, 1, 4), "MatMulIntegerToFloat": (0, 1, 6),
    "QLinearConcat": tuple(range(2, 300, 3)),
}  # fmt: skip
"""By operator, the inputs that hold values; the others are scales and zero points. Of other
operators on codes, the first one does."""


def count_parameters(proto: onnx.ModelProto) -> int:
    """Elements of all initializers that hold weights, biases or slopes.

    These are the initializers of floating type, except scales; and those of integer type that hold
    the codes of a quantized weight or bias. So a quantized model has about as many as the model
    that it was made from.
    """
    codes: set[str] = set()
    scales: set[str] = set()
    read: set[str] = set()
    dynamic: set[str] = set()
    for node in every_node(proto):
        if node.op_type == "DynamicQuantizeLinear":
            dynamic.add(node.output[1])
        elif is_quantizing(node) or node.op_type in _VALUES:
            values = _VALUES.get(node.op_type, (0,))
            for place, name in enumerate(node.input):
                (codes if place in values else scales).add(name)
        elif node.op_type == "Mul" and not dynamic.isdisjoint(node.input):
            scales.update(node.input)
        else:
            read.update(node.input)
    tensors = proto.graph.initializer
    return sum(_sizes(tensors, codes, scales - codes - read))


def _sizes(tensors: Iterable[onnx.TensorProto], codes: set[str], scales: set[str]) -> Iterator[int]:
    for tensor in tensors:
        if tensor.name in codes or (tensor.data_type in FLOATS and tensor.name not in scales):
            yield math.prod(tensor.dims)
