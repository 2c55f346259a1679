"""In which narrower type a model computes, and in which it only stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import TensorProto

from prelu_tools.graph.facts.rounding import EXACT
from prelu_tools.graph.natives import inferred
from prelu_tools.graph.walk import bodies

_NARROW: Mapping[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}


def computes_in(proto: onnx.ModelProto) -> str | None:
    """The narrowest floating type below float32 in which an operator computes; None for none.

    A Cast, or what only moves values, computes nothing: a model whose last node casts to float16
    rounds once to it, and one with a cast there and back in the middle has no excuse.
    """
    found = {_NARROW[kind] for kind in _computed(inferred(proto).graph, {}) if kind in _NARROW}
    return "bfloat16" if "bfloat16" in found else next(iter(found), None)


def _computed(graph: onnx.GraphProto, outer: dict[str, int]) -> Iterator[int]:
    """The types of what the operators that round give, those of bodies included."""
    types = {**outer, **{tensor.name: tensor.data_type for tensor in graph.initializer}}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        for body in bodies(node):
            yield from _computed(body, types)
        if node.op_type not in EXACT:
            yield from (types.get(name, 0) for name in node.output)
