"""What only resembles PReLU, and why it was not taken for one.

The patterns are matched once more with every demand allowed to fail; what fits but for one fault is
a near miss, and the fault is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from prelu_tools.graph.forms import BY_ROOT, Form
from prelu_tools.graph.matcher import Binding, Place
from prelu_tools.graph.recognise import Match, slot_values
from prelu_tools.graph.view import GraphView


@dataclass(frozen=True)
class Refusal:
    """A part of a graph that was not taken for PReLU."""

    node: str
    """The node that makes its output."""
    form: str
    """The form that it resembles."""
    reason: str
    """What does not fit."""


def find_refusals(view: GraphView, matches: list[Match]) -> Iterator[Refusal]:
    """The near misses of one graph, given what was recognised in it."""
    taken = {name for match in matches for node in match.nodes for name in node.output}
    for node in view.graph.node:
        if node.domain not in ("", "ai.onnx") or node.output[0] in taken:
            continue
        found = [_refuse(view, form, node) for form in BY_ROOT.get(node.op_type, ())]
        first = next((refusal for refusal in found if refusal is not None), None)
        if first is not None:
            yield first


def _refuse(view: GraphView, form: Form, node: onnx.NodeProto) -> Refusal | None:
    for binding in form.pattern.match(view, Place(node.output[0]), Binding(faults=())):
        faults = binding.faults or ()
        name = node.name or node.output[0]
        if len(faults) == 1:
            return Refusal(name, form.name, faults[0])
        if not faults and not form.holds(slot_values(view, binding)):
            return Refusal(name, form.name, form.unless)
    return None
