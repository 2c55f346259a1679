"""How many parameters the layer before a PReLU has: the convolution, dense or recurrent layer."""

from __future__ import annotations

import heapq
import math

import onnx

from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import bodies

_LAYERS = {"Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN",
           "FusedConv", "FusedGemm", "FusedMatMul"}  # fmt: skip
_N_WEIGHTS = 4  # inputs that may be weights: those of an LSTM are the second to the fourth
_OF_SIZES = {"Shape", "Size"}  # what follows computes sizes, of any tensor
_BEFORE_BIAS = {"Mul", "Reshape", "Transpose", "Identity", "Cast", "Squeeze", "Unsqueeze", "Slice",
                "Pad"}  # fmt: skip
_FARTHEST = 128  # nodes: free sizes take fifty between a layer and its PReLU


def preceding_parameters(view: GraphView, tensor: str) -> int | None:
    """Weights and biases of the layer that a tensor comes from; None if there is none.

    If several lead to it, as to a sum, it is the last one in the order of the graph.
    """
    seen: set[tuple[int, str]] = set()
    queue: list[tuple[int, int, str, GraphView]] = []
    after: dict[str, onnx.NodeProto] = {}

    def add(reader: GraphView, name: str) -> None:
        home, place = reader.home(name)
        if (id(home), place) not in seen and place in home.places and not home.is_constant(place):
            seen.add((id(home), place))
            heapq.heappush(queue, (-_depth(home), -home.places[place], place, home))

    add(view, tensor)
    for _ in range(_FARTHEST):
        if not queue:
            return None
        *_, name, home = heapq.heappop(queue)
        node = home.producer[name]
        given = [each for each in node.input if each]
        weights = [each for each in given[:_N_WEIGHTS] if home.is_constant(each)]
        if node.op_type in _LAYERS and weights:
            return sum(_size(home, each) for each in weights) + _bias(home, name, after)
        if bodies(node):
            return None  # the layer is in there
        if node.op_type not in _OF_SIZES:
            for each in given:
                add(home, each)
                after[each] = node
    return None


def _depth(view: GraphView) -> int:
    return 0 if view.outer is None else 1 + _depth(view.outer)


def _bias(view: GraphView, tensor: str, after: dict[str, onnx.NodeProto]) -> int:
    """The size of a bias that is added to the output of a layer by a node of its own."""
    node = after.get(tensor)
    while node is not None and node.op_type in _BEFORE_BIAS:
        node = after.get(node.output[0])
    if node is None or node.op_type != "Add":
        return 0
    return sum(_size(view, name) for name in node.input if view.is_constant(name))


def _size(view: GraphView, name: str) -> int:
    shape = view.shape(name)
    if shape is not None and None not in shape:
        return math.prod(size or 0 for size in shape)
    constant = read_constant(view, name)
    return int(constant.values.size) if constant else 0
