"""Keep tf2onnx's rewriters from taking a PReLU apart.

Before converting, tf2onnx turns max(x, a * x) into a LeakyRelu, so that the slope becomes an
attribute (which fails if there are several slopes), and (x > 0) * x, half of a PReLU, into a
ThresholdedRelu.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from prelu_tools.core.arrays import Array

_HIDDEN = "PReluToolsHidden"

Rewriter = Callable[[Any, Any], Any]


@contextmanager
def sparing_prelus(tfonnx: Any, weights: Collection[str]) -> Iterator[None]:
    """Have these rewriters see only numbers of the code that are not 0, in place.

    Args:
        tfonnx: the module of tf2onnx that calls them.
        weights: names of the constants that are weights.
    """
    hidden: dict[str, Callable[[str, Array], bool]] = {
        "rewrite_leakyrelu": lambda name, values: values.ndim > 0 or name in weights,
        "rewrite_thresholded_relu": lambda _, values: values.ndim > 0 or not values,
    }
    kept = {name: getattr(tfonnx, name) for name in hidden}
    try:
        for name, hides in hidden.items():
            setattr(tfonnx, name, _without(kept[name], hides))
        yield
    finally:
        for name, rewriter in kept.items():
            setattr(tfonnx, name, rewriter)


def _without(rewriter: Rewriter, hides: Callable[[str, Array], bool]) -> Rewriter:
    def rewrite(graph: Any, ops: Any) -> Any:
        constants = [node for node in graph.get_nodes() if node.type == "Const"]
        taken = [n for n in constants if hides(n.output[0], n.get_tensor_value(as_list=False))]
        for node in taken:
            node.type = _HIDDEN
        try:
            return rewriter(graph, ops)
        finally:
            for node in taken:
                node.type = "Const"

    return rewrite
