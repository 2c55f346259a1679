"""The narrower type that a model computes in, or only stores values in."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto

from prelu_tools.graph.facts.rounding import EXACT
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.natives import inferred
from prelu_tools.graph.view import GraphView, nested_views

_NARROW: Mapping[int, str] = {TensorProto.BFLOAT16: "bfloat16", TensorProto.FLOAT16: "float16"}


def computes_in(proto: onnx.ModelProto) -> str | None:
    """The narrowest floating type below float32 in which an operator computes; None for none.

    A Cast, or a node that only moves values, computes nothing: a model whose last node casts to
    float16 rounds to it once, and a cast to float16 and back in the middle earns no extra
    tolerance.
    """
    whole = GraphView(OnnxModel(inferred(proto), None), typed=True)
    kinds = {
        view.element_type(name)
        for view in nested_views(whole)
        for node in view.graph.node
        if node.op_type not in EXACT
        for name in node.output
    }
    return next((_NARROW[kind] for kind in _NARROW if kind in kinds), None)
