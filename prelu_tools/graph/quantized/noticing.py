"""Whether a graph is quantized: judged by its operators, in bodies too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prelu_tools.graph.quantized.operators import is_quantizing
from prelu_tools.graph.walk import every_node

if TYPE_CHECKING:
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.quantized.meaning import Meaning


def noticed_meaning(model: OnnxModel) -> Meaning | None:
    """What a quantized graph means; None for one in floating point, at hardly any cost.

    Raises:
        PReLUToolsError: an operator works on codes in a way that is not known here.
    """
    if not any(map(is_quantizing, every_node(model.proto))):
        return None
    from prelu_tools.graph.quantized.meaning import meaning_of

    return meaning_of(model)
