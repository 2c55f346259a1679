"""Replace sign tests on the bits of a number with comparisons.

Keras tests the sign of zero in this way before every argmax, argmin and signbit: `Bitcast(x) &
0x80000000 < 0`. No opset of ONNX that tf2onnx writes has a Bitcast, and in float64 the bits are
elsewhere. A comparison answers the same: x < 0, or 1 / x < 0 for zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf

_TOP = -(2**31)  # the sign bit of a float32, as an int32
_FLOAT, _INT, _BOOL = tf.float32, tf.int32, tf.bool


def compare_signs(definition: Any) -> None:
    """Have a GraphDef compare numbers where it reads their sign bits, in place.

    Other reads of bits stay. The sign of NaN means nothing, so it counts as positive.
    """
    _in_nodes(definition.node, is_body=False)
    for function in definition.library.function:
        _in_nodes(function.node_def, is_body=True)


def _in_nodes(nodes: Any, is_body: bool) -> None:
    by_name = {node.name: node for node in nodes}

    def of(tensor: str) -> Any:
        return by_name.get(tensor.partition(":")[0])

    made: dict[str, str] = {}
    for node in list(nodes):
        places = [i for i, name in enumerate(node.input) if _is_bits(of(name))]
        if len(places) != 1 or len(node.input) != 2:
            continue
        (place,) = places
        bits, other = of(node.input[place]), _constant(of(node.input[1 - place]))
        is_mask = node.op == "BitwiseAnd" and other == _TOP
        is_test = node.op in ("Less", "GreaterEqual") and place == 0 and other == 0
        if not is_mask and not is_test:
            continue
        if bits.name not in made:
            made[bits.name] = _add_top_bit(nodes, bits.name, bits.input[0], is_body)
        if is_mask:  # the product with 1 is the same, and has an output of the same name
            node.op = "Mul"
            one = _add_constant(nodes, f"{node.name}/one", 1, _INT, is_body)
            node.input[1 - place] = one
        node.input[place] = made[bits.name]
    _drop_unread(nodes, made)


def _is_bits(node: Any) -> bool:
    return (
        node is not None
        and node.op == "Bitcast"
        and node.attr["T"].type == _FLOAT.as_datatype_enum
        and node.attr["type"].type == _INT.as_datatype_enum
    )


def _constant(node: Any) -> int | None:
    """The one number of a constant."""
    if node is None or node.op != "Const":
        return None
    values = tf.make_ndarray(node.attr["value"].tensor)
    return int(values.flat[0]) if values.size == 1 else None


def _add_top_bit(nodes: Any, name: str, x: str, is_body: bool) -> str:
    """Add nodes for the sign bit of x, as an int32; returns the tensor."""
    zero = _add_constant(nodes, f"{name}/zero", 0, _FLOAT, is_body)
    top = _add_constant(nodes, f"{name}/top", _TOP, _INT, is_body)
    less = _add(nodes, f"{name}/less", "Less", [x, zero], "z", is_body, T=_FLOAT)
    over = _add(nodes, f"{name}/over", "Reciprocal", [x], "y", is_body, T=_FLOAT)
    under = _add(nodes, f"{name}/under", "Less", [over, zero], "z", is_body, T=_FLOAT)
    either = _add(nodes, f"{name}/either", "LogicalOr", [less, under], "z", is_body)
    sign = _add(nodes, f"{name}/sign", "Cast", [either], "y", is_body, SrcT=_BOOL, DstT=_INT)
    return _add(nodes, f"{name}/bit", "Mul", [sign, top], "z", is_body, T=_INT)


def _add(
    nodes: Any, name: str, op: str, inputs: Iterable[str], output: str, is_body: bool, **types: Any
) -> str:
    node = nodes.add(name=name, op=op, input=inputs)
    for key, kind in types.items():
        node.attr[key].type = kind.as_datatype_enum
    return f"{name}:{output}:0" if is_body else name


def _add_constant(nodes: Any, name: str, number: int, kind: Any, is_body: bool) -> str:
    tensor = _add(nodes, name, "Const", [], "output", is_body, dtype=kind)
    values = np.array(number, kind.as_numpy_dtype)
    nodes[-1].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    return tensor


def _drop_unread(nodes: Any, names: Iterable[str]) -> None:
    read = {tensor.partition(":")[0].lstrip("^") for node in nodes for tensor in node.input}
    for node in [node for node in nodes if node.name in set(names) - read]:
        nodes.remove(node)
