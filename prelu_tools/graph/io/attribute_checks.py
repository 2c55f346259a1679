"""Reject impossible attributes: given twice, or with the values of another type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import onnx

from prelu_tools.graph.io.tensor_checks import BrokenGraphError, named

_Type: Final = onnx.AttributeProto
_SHORT: Final = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g",
                 "TYPE_PROTO": "tp"}  # fmt: skip
_FIELDS: Final = {
    kind: _SHORT.get(name, name.lower())
    for name, kind in _Type.AttributeType.items()
    if kind != _Type.UNDEFINED
}
_VALUES: Final = frozenset(_FIELDS.values())


def refuse_attributes(
    attributes: Iterable[onnx.AttributeProto], owner: str, in_function: bool
) -> None:
    """Look at the attributes of a node, or at those that a function has by default.

    Args:
        attributes: all of them.
        owner: its name in messages.
        in_function: whether they may refer to the attributes of a call.

    Raises:
        BrokenGraphError: one cannot be.
    """
    seen: set[str] = set()
    for attribute in attributes:
        name = attribute.name
        if name in seen:
            raise BrokenGraphError(f"{owner} has the attribute {named(name)} twice")
        seen.add(name)
        if attribute.ref_attr_name and not in_function:
            raise BrokenGraphError(
                f"{owner} takes its attribute {named(name)} from a function, but is not in one"
            )
        held = {field.name for field, _ in attribute.ListFields()} & _VALUES
        wanted = _FIELDS.get(attribute.type)
        if held - {wanted}:
            kind = _Type.AttributeType.Name(attribute.type) if wanted else attribute.type
            raise BrokenGraphError(
                f"{owner} has an attribute {named(name)} of type {kind}, which holds "
                f"{' and '.join(sorted(held))}"
            )


def refuse_contradictions(node: onnx.NodeProto, owner: str) -> None:
    """A Constant has one value, and a Transpose moves each axis to one place.

    Raises:
        BrokenGraphError: it does not.
    """
    if node.op_type == "Constant" and len(node.attribute) > 1:
        names = " and ".join(named(attribute.name) for attribute in node.attribute[:2])
        raise BrokenGraphError(f"{owner} has two values, {names}")
    for attribute in node.attribute if node.op_type == "Transpose" else ():
        order = list(attribute.ints) if attribute.name == "perm" else []
        if sorted(order) != list(range(len(order))):
            raise BrokenGraphError(f"{owner} moves axes to {order[:9]}, which is not a permutation")
