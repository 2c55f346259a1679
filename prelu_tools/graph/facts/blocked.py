"""Will onnxruntime keep a tensor in its blocked layout (NCHWc)?

Its optimizer's behaviour was learned from the graphs that it writes (docs/performance.md): a 2D
convolution is blocked if the number of its input channels is a multiple of four or less than a
block; Relu, Add, pooling and normalization keep the layout.
"""

from __future__ import annotations

from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of

_BLOCK, _PART = 8, 4
_HAND_ON = {"Relu", "Add", "BatchNormalization", "MaxPool", "AveragePool", "Identity", "PRelu",
            "LeakyRelu", "Clip", "Sum", "Max"}  # fmt: skip
_STEPS = 32


def is_blocked(view: GraphView, tensor: str) -> bool:
    """Whether a tensor comes from a convolution that onnxruntime runs in blocks."""
    for _ in range(_STEPS):
        node = view.maker(tensor)
        if node is None:
            return False
        if node.op_type == "Conv":
            shape = view.shape(node.input[1])
            if shape is None or len(shape) != 4 or None in shape:
                return False
            group = attribute_of(node, "group", 1)
            return _convolution_is_blocked(shape[0] or 0, shape[1] or 0, group)
        live = [name for name in node.input if name and not view.is_constant(name)]
        if node.op_type not in _HAND_ON or not live:
            return False
        tensor = live[0]
    return False


def _convolution_is_blocked(n_filters: int, n_inputs: int, group: int) -> bool:
    if group == 1:
        return n_inputs < _BLOCK or n_inputs % _PART == 0
    if n_inputs == 1 and n_filters == group:
        return n_filters % _PART == 0
    return n_filters % _BLOCK == 0 and n_inputs % _BLOCK == 0
