"""Reject types for which onnxruntime's CPU provider has no kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.view import GraphView

FLOAT16: Final = int(onnx.TensorProto.FLOAT16)
_LACKING: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    onnx.TensorProto.DOUBLE: ("float64", ("Conv", "ConvTranspose")),
    onnx.TensorProto.BFLOAT16: ("bfloat16", ("Conv", "ConvTranspose", "PRelu", "Gemm")),
}


def refuse_types(model: OnnxModel) -> None:
    """Reject a model that computes in a type for which there are no kernels.

    Raises:
        PReLUToolsError: a convolution is in float64, or anything of note in bfloat16.
    """
    view = GraphView(model)
    for node in view.graph.node:
        kind = view.element_type(node.input[0]) if node.input and node.input[0] else None
        name, operators = _LACKING.get(kind or 0, ("", ()))
        if node.op_type in operators:
            raise PReLUToolsError(
                f"{node.name or node.output[0]} ({node.op_type}) computes in {name}, for which "
                "onnxruntime's CPU provider has no kernel: export the model in float32 "
                "(in PyTorch: model.float())"
            )
