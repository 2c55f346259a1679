"""Operators that read or produce integer codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_BEGINNINGS = ("QLinear", "QuantizeLinear", "DequantizeLinear", "DynamicQuantize", "QGemm",
               "ConvInteger", "MatMulInteger", "QAttention", "QEmbed", "QOrdered", "QMoE",
               "MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")  # fmt: skip


def is_quantizing(node: onnx.NodeProto) -> bool:
    """Whether a node reads or makes integer codes, by the name of its operator."""
    return node.op_type.startswith(_BEGINNINGS)
