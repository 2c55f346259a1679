"""The PReLU layers of a quantized graph, and the rounding of their slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.match.layers import LocatedLayer, without_role
from prelu_tools.graph.match.recognise import Match
from prelu_tools.graph.view import GraphView

_SUFFIX = "_quantized"  # onnxruntime's suffix for a quantized tensor


def quantized_layers(found: Sequence[LocatedLayer]) -> tuple[LocatedLayer, ...]:
    """The layers of a quantized model's meaning, named as before quantization.

    Slopes that are repeated along an axis, as some forms need them, count once.
    """
    names = {item.layer.name for item in found}
    return tuple(_settled(item, names) for item in found)


def _settled(item: LocatedLayer, names: set[str]) -> LocatedLayer:
    layer = item.layer
    name = layer.name
    if name.endswith(_SUFFIX):
        plain = without_role(name.removesuffix(_SUFFIX))
        name = plain if plain not in names else name
    parameter = None if layer.parameter is None else layer.parameter.removesuffix(_SUFFIX)
    slopes = _once(layer.slopes)
    calls = tuple((view, m._replace(slopes=_once(m.slopes))) for view, m in item.calls)
    layer = replace(layer, name=name, parameter=parameter, slopes=slopes)
    return LocatedLayer(layer, calls)


def _once(slopes: Array) -> Array:
    """Slopes without repetition along axes; an axis with different slopes stays whole."""
    found = slopes
    varying = [axis for axis, size in enumerate(slopes.shape) if size > 1]
    if len(varying) < 2:
        return slopes
    for axis in varying:
        first = np.take(found, [0], axis)
        if (found == first).all():
            found = first
    return frozen(np.ascontiguousarray(found))


def slope_step(item: LocatedLayer) -> Array | float:
    """The distance between neighbours among the numbers that the slopes of a layer may have.

    One number, or one for each slope, flat; 0 where they are stored in floating point.
    """
    steps = [_step_of_call(view, match) for view, match in item.calls]
    return max(steps, key=lambda step: float(np.max(step)))


def _step_of_call(view: GraphView, match: Match) -> Array | float:
    largest: Array | float = 0.0
    left = [name for node in match.nodes for name in node.input if name and view.is_constant(name)]
    seen: set[str] = set()
    while left:
        name = left.pop()
        node = view.producer.get(name)
        if name in seen or node is None:
            continue
        seen.add(name)
        if node.op_type == "DequantizeLinear":
            scale = values_of(view, node.input[1])
            if scale is not None and float(scale.max()) > float(np.max(largest)):
                size = match.slopes.size
                largest = scale.reshape(-1) if scale.size == size else float(scale.max())
        else:
            left += [i for i in node.input if i]
    return largest
