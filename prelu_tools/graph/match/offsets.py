"""Reorder sums so that their constant is in the outermost addition."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

from prelu_tools.graph.view import GraphView

_SIGNS = {"Add": (1, 1), "Sub": (1, -1)}


def in_another_order(
    view: GraphView, node: onnx.NodeProto
) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """The ways to write a + (s + c), with a constant c, as (a + s) + c; signs may be minus.

    Args:
        view: the graph.
        node: an Add or Sub of two tensors.

    Returns:
        For each the node of the inner sum, and the one to put in the place of this one.
    """
    for side, name in enumerate(node.input):
        sum_ = view.maker(name)
        if sum_ is None or sum_.op_type not in _SIGNS or view.is_constant(name):
            continue
        other, sign = node.input[1 - side], _SIGNS[node.op_type]
        for place, constant in enumerate(sum_.input):
            part = sum_.input[1 - place]
            if view.is_constant(constant) == view.is_constant(part) or view.is_constant(part):
                continue
            signs = [sign[side] * s for s in _SIGNS[sum_.op_type]]
            terms = [(sign[1 - side], other), (signs[1 - place], part)]
            terms = sorted(terms if side else terms[::-1], key=lambda term: -term[0])
            if terms[0][0] < 0:
                continue  # minus both: no sum of two
            kind = "Add" if terms[1][0] > 0 else "Sub"
            inner = f"{node.output[0]}/before_offset"
            yield (
                helper.make_node(kind, [tensor for _, tensor in terms], [inner], name=inner),
                helper.make_node("Add" if signs[place] > 0 else "Sub", [inner, constant], ["y"]),
            )
