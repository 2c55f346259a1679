"""Whether a graph is quantized at all: a look at the names of its operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.quantized.meaning import Meaning

_BEGINNINGS = ("QLinear", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QGemm",
               "ConvInteger", "MatMulInteger")  # fmt: skip


def noticed_meaning(model: OnnxModel) -> Meaning | None:
    """What a quantized graph means; None for one in floating point, at hardly any cost.

    Raises:
        PReLUToolsError: an operator works on codes in a way that is not known here.
    """
    if not any(node.op_type.startswith(_BEGINNINGS) for node in model.proto.graph.node):
        return None
    from prelu_tools.graph.quantized.meaning import meaning_of

    return meaning_of(model)
