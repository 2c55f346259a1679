"""Mark the calls of PReLU in a TensorFlow graph, and replace their slopes with known ones.

A mark is an Identity after the output and another before the input, with a name that survives
inlining and the functions of loops and branches. For the conversion, however the PReLU is written,
the mark becomes an operator that the model does not have (`STAND_IN`), with its input and the
slopes as inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import (
    Program,
    Tap,
    calls_of,
    holders,
    make_constant,
    node_of,
    rename_functions,
)
from prelu_tools.core.arrays import Array

STAND_IN = "Xdivy"
"""An operator of two inputs that broadcast, which tf2onnx has no translation of."""
_MARKED = "_marked"  # the suffix of a function with marks
_MARK = re.compile(r"(.*)prelu_tools_([xy])_(\d+)$")


def marked(number: int, side: str, tensor: Any) -> Any:
    """A tensor after a mark: `x` for an input, `y` for an output."""
    return tf.identity(tensor, name=f"prelu_tools_{side}_{number}")


def is_output_mark(name: str) -> bool:
    """Whether a node of this name marks an output."""
    found = _MARK.match(name)
    return found is not None and found[2] == "y"


Mark = tuple[str, tuple[int | None, ...] | None]
"""The name of slopes, and the shape of the input, as far as it is known."""


def taps_of(definition: Any, marks: Mapping[int, Mark]) -> list[Tap]:
    """The marked calls of a graph, in the order of its nodes, those in functions included.

    Args:
        definition: a GraphDef.
        marks: the marked calls, by number.
    """
    found = list(_taps_in(definition.node, "", marks))
    for function in definition.library.function:
        found += _taps_in(function.node_def, function.signature.name, marks)
    places = _places(definition)
    return sorted(found, key=lambda tap: places.get(tap.function or node_of(tap.y), 0))


def _taps_in(nodes: Any, function: str, marks: Mapping[int, Mark]) -> Iterator[Tap]:
    ends: dict[tuple[str, int], dict[str, Any]] = {}
    for node in nodes:
        if match := _MARK.match(node.name):
            ends.setdefault((match[1], int(match[3])), {})[match[2]] = node
    for (_, number), sides in ends.items():
        if len(sides) == 2 and number in marks:
            x = sides["x"].input[0] if not function else f"{sides['x'].name}:output:0"
            x = x if ":" in x else f"{x}:0"
            y = f"{sides['y'].name}:output:0" if function else f"{sides['y'].name}:0"
            yield Tap(marks[number][0], x, y, function, marks[number][1])


def _places(definition: Any) -> dict[str, int]:
    """Where nodes are, and where functions are called first."""
    places = {node.name: place for place, node in enumerate(definition.node)}
    inner = {f.signature.name: f.node_def for f in definition.library.function}
    waiting = [(place, node) for place, node in enumerate(definition.node)]
    while waiting:
        place, node = waiting.pop()
        for called in calls_of(node):
            if called.name in inner and called.name not in places:
                places[called.name] = place
                waiting += [(place, other) for other in inner[called.name]]
    return places


def with_marks(program: Program, calls: Sequence[Tap]) -> Program:
    """A program with marks after these calls too."""
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(program.definition)
    parts = holders(definition)
    nodes = {key: {node.name: node for node in held} for key, held in parts.items()}
    moved: dict[tuple[str, str], str] = {}
    taps = []
    for number, tap in enumerate(calls):
        origin = nodes[tap.function][node_of(tap.y)]
        mark = parts[tap.function].add(op="Identity", name=f"{origin.name}/prelu_tools_y_{number}")
        mark.attr["T"].type = tf.float32.as_datatype_enum  # like all results
        if "_output_shapes" in origin.attr:
            mark.attr["_output_shapes"].CopyFrom(origin.attr["_output_shapes"])
        target = f"{mark.name}:output:0" if tap.function else f"{mark.name}:0"
        _rename(definition, tap.function, tap.y, target)
        mark.input.append(tap.y)
        moved[tap.function, tap.y] = target
        taps.append(replace(tap, y=target))
    kept = [replace(t, x=moved.get((t.function, t.x), t.x)) for t in (*program.taps, *taps)]
    places = _places(definition)
    places |= {
        node_of(mark): places[node_of(y)] for (function, y), mark in moved.items() if not function
    }
    order = sorted(kept, key=lambda t: places[t.function or node_of(t.y)])
    if any(tap.function for tap in calls):
        rename_functions(definition, _MARKED)
        order = [replace(t, function=t.function and f"{t.function}{_MARKED}") for t in order]
    return replace(program, definition=definition, taps=tuple(order))


def _rename(definition: Any, function: str, old: str, new: str) -> None:
    """Let all that reads a tensor of a graph, or of a function of its library, read another."""
    names = {old, old.removesuffix(":0")} if not function else {old}
    for node in holders(definition)[function]:
        for place, name in enumerate(node.input):
            if name in names:
                node.input[place] = new
    for found in definition.library.function:
        if found.signature.name == function:
            for key, name in found.ret.items():
                if name == old:
                    found.ret[key] = new


def with_slopes(definition: Any, slopes: Mapping[Tap, Array]) -> Any:
    """Replace marked calls in the definition with the stand-in.

    Args:
        definition: a GraphDef; changed.
        slopes: for each call its slopes, such that they broadcast to its input.

    Returns:
        The definition.
    """
    parts = holders(definition)
    for number, (tap, values) in enumerate(slopes.items()):
        nodes = parts[tap.function]
        constant = nodes.add(name=f"prelu_tools_slopes_{number}")
        make_constant(constant, values)
        name = node_of(tap.y)
        mark = next(node for node in nodes if node.name == name)
        mark.op = STAND_IN
        suffix = ":output:0" if tap.function else ""
        del mark.input[:]
        mark.input.extend([tap.x, f"{constant.name}{suffix}"])
        if tap.function:
            _rename(definition, tap.function, tap.y, f"{name}:z:0")
    return definition
