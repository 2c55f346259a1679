"""What only resembles PReLU, and why it was not taken for one.

The patterns are matched once more with every demand allowed to fail; what fits but for one fault is
a near miss, and the fault is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from prelu_tools.core.inspection import RefusedForm
from prelu_tools.graph.forms import BY_ROOT, Form
from prelu_tools.graph.matcher import Binding, Place
from prelu_tools.graph.recognise import UnreadableConstantError, slot_values
from prelu_tools.graph.view import GraphView


def find_refusals(view: GraphView, taken: set[str]) -> Iterator[RefusedForm]:
    """The near misses of one graph, given the tensors that nodes of a recognised PReLU make."""
    for node in view.graph.node:
        if node.domain not in ("", "ai.onnx") or node.output[0] in taken:
            continue
        found = [refuse(view, form, node) for form in BY_ROOT.get(node.op_type, ())]
        first = next((refusal for refusal in found if refusal is not None), None)
        if first is not None:
            yield first


def refuse(view: GraphView, form: Form, node: onnx.NodeProto) -> RefusedForm | None:
    """Why a node is not the output of this form; None where it does not resemble it either."""
    for binding in form.pattern.match(view, Place(node.output[0]), Binding(faults=())):
        faults = binding.faults or ()
        name = node.name or node.output[0]
        if len(faults) == 1:
            return RefusedForm(name, form.name, faults[0])
        try:
            holds = bool(faults) or form.holds(slot_values(view, binding))
        except (UnreadableConstantError, ValueError, TypeError):
            return RefusedForm(name, form.name, "a constant in it cannot be computed")
        if not holds:
            return RefusedForm(name, form.name, form.unless)
    return None
