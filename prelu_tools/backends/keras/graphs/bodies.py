"""The bodies of loops and branches of a graph, each as a separate graph."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

from prelu_tools.backends.keras.graphs.program import (
    Program,
    Weight,
    calls_of,
    make_constant,
    node_of,
)
from prelu_tools.core.arrays import Array

_FIRST = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}
"""Operators whose first input is a condition, which is not passed to a body."""
_LOOPS = ("While", "StatelessWhile")


class Body(NamedTuple):
    """A function of a graph's library, as one call of it uses it."""

    function: str
    """Its name."""
    caller: str
    """The node that calls it."""
    program: Program
    """Its graph. Its weights are the arguments that are one, or computed from some alone."""
    nested: dict[str, str]
    """What the function calls each tensor of that graph."""


def bodies_of(
    program: Program, constant: Container[str], origins: Mapping[str, Weight]
) -> Iterator[Body]:
    """The bodies of the loops and branches of a graph, those inside them not included.

    Args:
        program: the graph.
        constant: its nodes that depend on weights and on numbers of the code alone.
        origins: the weight that each of these depends on, of those that depend on one.
    """
    functions = {f.signature.name: f for f in program.definition.library.function}
    for node in program.nodes.values():
        given = node.input[_FIRST.get(node.op, 0) :]
        for function in (functions[name] for name in _called(node) if name in functions):
            args = [arg.name for arg in function.signature.input_arg]
            if len(args) != len(given):
                continue
            body = _body(program, function, node)
            known = {
                arg: tensor
                for arg, tensor in zip(args, given, strict=True)
                if node_of(tensor) in constant
            }
            if node.op in _LOOPS:
                known = {
                    arg: tensor for arg, tensor in known.items() if _stays(body, function, arg)
                }
            yield _with_constants(body, program, known, origins)


def _called(node: Any) -> list[str]:
    """The functions that a node runs; of a loop not the one that decides whether it goes on."""
    if node.op in _LOOPS:
        return [node.attr["body"].func.name]
    if "then_branch" in node.attr:
        return [node.attr[branch].func.name for branch in ("then_branch", "else_branch")]
    return [function.name for function in calls_of(node)]


def _body(program: Program, function: Any, caller: Any) -> Body:
    stated = list(caller.attr["output_shapes"].list.shape) if caller.op in _LOOPS else []
    given = caller.input[_FIRST.get(caller.op, 0) :]
    shapes = stated or [program.shape_of(tensor) for tensor in given]
    with program.imported.as_default():
        definition, flat = function_def_to_graph_def(function)
    for node, shape in zip(definition.node, shapes, strict=False):  # the arguments come first
        if shape is not None:
            node.attr["shape"].shape.CopyFrom(shape)
    for node in definition.node:
        read = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(read)
    definition.library.CopyFrom(program.definition.library)
    name = function.signature.name
    own = [tap for tap in program.taps if tap.function == name]
    taps = tuple(replace(tap, x=flat[tap.x], y=flat[tap.y]) for tap in own)
    inner = replace(program, definition=definition, specs=(), inputs=(), outputs={}, weights=(),
                    taps=taps)  # fmt: skip
    shaped = inner.imported.as_graph_def(add_shapes=True)  # functions have no shapes
    nested = {tensor: nested for nested, tensor in flat.items()}
    return Body(name, caller.name, replace(inner, definition=shaped), nested)


def _stays(body: Body, function: Any, arg: str) -> bool:
    """Whether each turn of a loop hands an argument on as it is."""
    names = [one.name for one in function.signature.input_arg]
    given = function.ret[function.signature.output_arg[names.index(arg)].name]
    flat = {nested: tensor for tensor, nested in body.nested.items()}
    return body.program.origin(flat[given]) == f"{arg}:0"


def _with_constants(
    body: Body, program: Program, known: Mapping[str, str], origins: Mapping[str, Weight]
) -> Body:
    """A body whose arguments are weights or constants if they are so outside."""
    weights = []
    for arg, tensor in known.items():
        weight = origins.get(node_of(tensor))
        if weight is not None and weight.tensor == (tensor if ":" in tensor else f"{tensor}:0"):
            weights.append(replace(weight, tensor=f"{arg}:0"))
            continue
        values = program.value_of(tensor)
        if weight is None:
            make_constant(body.program.nodes[arg], values)
        else:
            made = partial(_held, values)
            weights.append(Weight(f"{arg}:0", weight.layer, weight.name, values.shape, made))
    return body._replace(program=replace(body.program, weights=tuple(weights)))


def _held(values: Array) -> Array:
    return values
