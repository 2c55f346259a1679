"""Whether a graph is quantized: judged by its operators, in bodies too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.quantized.operators import is_quantizing
from prelu_tools.graph.view import all_views
from prelu_tools.graph.walk import every_node

if TYPE_CHECKING:
    from prelu_tools.graph.io.model import OnnxModel
    from prelu_tools.graph.match.layers import LocatedLayer
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


def located_layers(
    model: OnnxModel, find: Callable[[OnnxModel], Meaning | None] = noticed_meaning
) -> tuple[LocatedLayer, ...]:
    """The layers of a model; those of a quantized one are in what it means, where that is known.

    Args:
        model: the model.
        find: finds its meaning, as `noticed_meaning` does.
    """
    meaning = None
    with suppress(PReLUToolsError):
        meaning = find(model)
    if meaning is None:
        return locate_layers(all_views(model))
    from prelu_tools.graph.quantized.layers import quantized_layers

    return quantized_layers(locate_layers(all_views(meaning.model)))
