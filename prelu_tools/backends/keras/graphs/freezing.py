"""One flat graph from a traced function: variables become constants, functions are inlined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.marks import is_output_mark
from prelu_tools.backends.keras.graphs.program import holders, rename_functions
from prelu_tools.backends.keras.graphs.signs import compare_signs

_MARKS = ("_XlaMustCompile", "_noinline")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def freeze(function: Any) -> Any:
    """A concrete function of the same signature, without variables and calls of functions.

    TensorFlow inlines no function that XLA is to compile, as Keras requires for grouped
    convolutions; the mark is dropped, and the functions renamed so that they are not confused with
    the known ones.
    """
    if not function.captured_inputs and not function.graph.as_graph_def().library.function:
        return function
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    definition = frozen.graph.as_graph_def(add_shapes=True)
    if not any(node.op in _CALLS for node in definition.node):
        return frozen
    rename_functions(definition, "_inlined")
    for function_ in definition.library.function:
        _unmark(function_.attr)
    for nodes in holders(definition).values():
        for node in nodes:
            _unmark(node.attr)
    return convert_variables_to_constants_v2(
        callable_of(definition, frozen.inputs, frozen.outputs), lower_control_flow=False
    )


def flat_graph(frozen: Any) -> Any:
    """The GraphDef of a frozen function, in which nodes wait for values only.

    What an inlined function leaves behind waits for all its inputs, and hides constants after
    Identity.
    """
    definition = frozen.graph.as_graph_def(add_shapes=True)
    aliases = {
        node.name: node.input[0]
        for node in definition.node
        if node.op == "Identity" and not is_output_mark(node.name)
    }
    for node in definition.node:
        inputs = [_past(aliases, name) for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(inputs)
    kept = [node for node in definition.node if node.op != "NoOp"]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del definition.node[:]
    definition.node.extend(copies)
    compare_signs(definition)
    return definition


def _past(aliases: dict[str, str], tensor: str) -> str:
    while (key := tensor.removesuffix(":0")) in aliases:
        tensor = aliases[key]
    return tensor


def callable_of(definition: Any, inputs: Iterable[Any], outputs: Iterable[Any]) -> Any:
    """A concrete function that runs a GraphDef between tensors, which are identified by name."""
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
    ends = [[wrapped.graph.as_graph_element(t.name) for t in side] for side in (inputs, outputs)]
    return wrapped.prune(*ends)


def _unmark(attributes: Any) -> None:
    for mark in _MARKS:
        attributes.pop(mark, None)
