"""Whether a graph is quantized at all: the names of all its operators, in bodies too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prelu_tools.graph.quantized.operators import is_quantizing
from prelu_tools.graph.walk import all_nodes

if TYPE_CHECKING:
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.quantized.meaning import Meaning


def noticed_meaning(model: OnnxModel) -> Meaning | None:
    """What a quantized graph means; None for one in floating point, at hardly any cost.

    Raises:
        PReLUToolsError: an operator works on codes in a way that is not known here.
    """
    parts = [model.proto.graph.node, *(one.node for one in model.proto.functions)]
    if not any(is_quantizing(node) for nodes in parts for node in all_nodes(nodes)):
        return None
    from prelu_tools.graph.quantized.meaning import meaning_of

    return meaning_of(model)
