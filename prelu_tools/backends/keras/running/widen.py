"""Make a TensorFlow graph compute in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import rename_functions

_ALWAYS_FLOAT = ("ResizeBilinear", "ResizeBicubic", "ResizeArea")  # their output has no other type


def widen(definition: Any) -> tuple[str, ...]:
    """Make a GraphDef compute in float64, in place; the nodes that do not, by name.

    Every attribute and constant of type float becomes double, in the functions of its library too.
    """
    rename_functions(definition, "_wide")
    narrow: dict[str, None] = {}
    for function in definition.library.function:
        for argument in [*function.signature.input_arg, *function.signature.output_arg]:
            argument.type = _double(argument.type)
        added = _widen_nodes(function.node_def, narrow, ":resized_images:0", ":y:0")
        for key, name in function.ret.items():
            function.ret[key] = added.get(name, name)
        for node in function.node_def:
            _reroute(node, added)
    added = _widen_nodes(definition.node, narrow, "", "")
    for node in definition.node:
        _reroute(node, added)
    return tuple(narrow)


def _widen_nodes(nodes: Any, narrow: dict[str, None], out: str, cast_out: str) -> dict[str, str]:
    """Widen nodes; what reads the output of one that stays float has to read its Cast instead."""
    rerouted = {}
    for node in list(nodes):
        for attribute in node.attr.values():
            _widen_attribute(attribute)
        if any(a.type in (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
               for a in node.attr.values()):  # fmt: skip
            narrow[node.name] = None
        if node.op in _ALWAYS_FLOAT:
            narrow[node.name] = None
            cast = nodes.add(name=f"{node.name}/wide", op="Cast", input=[f"{node.name}{out}"])
            cast.attr["SrcT"].type = tf.float32.as_datatype_enum
            cast.attr["DstT"].type = tf.float64.as_datatype_enum
            rerouted[f"{node.name}{out}"] = f"{cast.name}{cast_out}"
    return rerouted


def _reroute(node: Any, added: Mapping[str, str]) -> None:
    for place, name in enumerate(node.input):
        target = added.get(name) or added.get(name.removesuffix(":0"))
        if target is not None and not target.startswith(f"{node.name}:") and target != node.name:
            node.input[place] = target


def _widen_attribute(attribute: Any) -> None:
    kind = attribute.WhichOneof("value")
    if kind == "type":
        attribute.type = _double(attribute.type)
    elif kind == "tensor" and attribute.tensor.dtype == tf.float32.as_datatype_enum:
        values = tf.make_ndarray(attribute.tensor).astype(np.float64)
        attribute.tensor.CopyFrom(tf.make_tensor_proto(values, shape=values.shape))
    elif kind == "list":
        for place, value in enumerate(attribute.list.type):
            attribute.list.type[place] = _double(value)


def _double(kind: int) -> int:
    wide: int = tf.float64.as_datatype_enum
    return wide if kind == tf.float32.as_datatype_enum else kind
