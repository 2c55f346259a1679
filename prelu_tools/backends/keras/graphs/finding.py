"""Find, in the model's graph, PReLUs inside layers that have other variables too.

A layer whose only variable is its slopes is probed itself (`watch.py`). In other layers, every part
of the graph that may be a PReLU (`parts.py`) is probed in the same way: it is run in isolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.bodies import bodies_of
from prelu_tools.backends.keras.graphs.parts import Part, Parts, read_once
from prelu_tools.backends.keras.graphs.program import (
    Program,
    Tap,
    Weight,
    make_placeholder,
    node_of,
)
from prelu_tools.backends.keras.running.eagerly import as_written
from prelu_tools.backends.probing.probe import probe
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

_ENTRY = "prelu_tools/x"
_MANY = 100_000  # numbers in the code; more form a table
_DEEPEST = 8  # depth of nested bodies
_LARGE = 4_000_000  # elements; a larger variable is not a slope


class Found(NamedTuple):
    """A call that was found in the graph."""

    call: PReLUCall
    """What it is."""
    tap: Tap
    """Where it is: its output is not marked yet."""


def find_inside(program: Program, candidates: Iterable[Weight]) -> list[Found]:
    """The PReLU calls whose slopes come from these variables, in the order of the graph.

    Those in bodies of loops and branches come after those of the graph that they are in.
    """
    wanted = {w.name for w in candidates if np.prod(w.shape) <= _LARGE}
    return _named(_told_apart(_inside(program, wanted, "")))


def _inside(program: Program, wanted: set[str], owner: str, depth: int = 0) -> Iterator[Found]:
    """The calls of a graph and of the bodies in it.

    Args:
        program: the graph.
        wanted: the variables that may be slopes.
        owner: the layer that it is in, where its nodes do not say.
        depth: how many bodies it is in.
    """
    program = read_once(program)
    literals = _literals(program, owner)
    wanted = wanted | {weight.name for weight in literals.values()}
    weights = {node_of(w.tensor): w for w in program.weights} | literals
    weights |= _whole_numbers(program)
    parts = Parts(program, weights)
    for name in filter(program.read.__contains__, program.nodes):
        for part in parts.ending_in(name):
            if wanted & {weight.name for weight in part.weights}:
                item = _asked(program, part, wanted, is_body=depth > 0)
                if item is not None:
                    parts.known.add(name)
                    yield item
                    break
    if depth == _DEEPEST:
        return
    for body in bodies_of(program, parts.constant, parts.origins(wanted)):
        layer = program.layer_of(body.caller) or owner
        for item in _inside(body.program, wanted, layer, depth + 1):
            tap = item.tap
            if not tap.function:
                x, y = body.nested[tap.x], body.nested[tap.y]
                tap = replace(tap, x=x, y=y, function=body.function)
            yield item._replace(tap=tap)


def _asked(program: Program, part: Part, wanted: set[str], is_body: bool) -> Found | None:
    """What a part answers, where it keeps the shape of its input.

    In a body, a tensor is one element, without a batch axis.
    """
    shape = _common_shape(*(_shape(program, tensor) for tensor in (part.x, part.y)))
    kinds = {program.imported.as_graph_element(tensor).dtype for tensor in (part.x, part.y)}
    if not shape or kinds != {tf.float32}:
        return None
    alone, single = _Alone(program, part), is_body and shape[0] is not None
    free = (None, *(shape if single else shape[1:]))
    by_size = sorted(part.weights, key=lambda w: -int(np.prod(w.shape)))
    constants = {w.name: w.read() for w in by_size if w.name in wanted}
    answer = probe(alone.row if single else alone, constants, free)
    if answer is None:
        return None
    weight = next(w for w in part.weights if w.name == answer.origin)
    call = PReLUCall(
        layer=weight.layer,
        parameter=weight.name,
        kind=_kind(program, part),
        values=answer.values,
        indices=answer.indices[0] if single else answer.indices,
        input_shape=free[1:] if single else free,
        preceding_parameters=_others(program, weight, wanted),
        apply=partial(alone, changed={}),
        origin=answer.origin,
        sources=tuple(constants),
        is_own=answer.is_own,
        ask=alone,
    )
    return Found(call, Tap(weight.name, part.x, part.y, "", shape))


class _Alone:
    """Runs a part by itself, with other values in the place of variables."""

    def __init__(self, program: Program, part: Part) -> None:
        self._program = program
        self._part = part
        self._function: Any = None

    def __call__(self, x: Array, changed: Mapping[str, Array]) -> Array:
        """Run it.

        Raises:
            PReLUToolsError: TensorFlow does not.
        """
        values = [changed[w.name] if w.name in changed else w.read() for w in self._part.weights]
        try:
            with quiet(show=False), as_written():
                if self._function is None:
                    self._function = self._made()
                (result,) = self._function(*(tf.constant(v) for v in (x, *values)))
        except Exception as error:
            raise PReLUToolsError(
                f"the PReLU at {self._part.y} cannot be called in isolation "
                f"({type(error).__name__})"
            ) from error
        return np.asarray(result)

    def row(self, x: Array, changed: Mapping[str, Array]) -> Array:
        """Run it on the one row of a batch."""
        return self(x[0], changed)[None]

    def _made(self) -> Any:
        part, nodes = self._part, self._program.nodes
        feeds = [f"{_ENTRY}:0", *(weight.tensor for weight in part.weights)]
        definition = tf.compat.v1.GraphDef()
        definition.versions.CopyFrom(self._program.definition.versions)
        entry = definition.node.add(name=_ENTRY, op="Placeholder")
        entry.attr["dtype"].type = tf.float32.as_datatype_enum
        entry.attr["shape"].shape.unknown_rank = True
        for name in dict.fromkeys(part.nodes):
            copy = definition.node.add()
            copy.CopyFrom(nodes[name])
            if f"{name}:0" in feeds and copy.op != "Placeholder":
                make_placeholder(copy)
            for place, read in enumerate(copy.input):
                if read in (part.x, part.x.removesuffix(":0")):
                    copy.input[place] = _ENTRY
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
        ends = [[wrapped.graph.as_graph_element(n) for n in names] for names in (feeds, [part.y])]
        return wrapped.prune(*ends)


def _literals(program: Program, owner: str) -> dict[str, Weight]:
    """Numbers of the code that may be slopes: if there are several of them."""
    found = {}
    for name, node in program.nodes.items():
        if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
            continue
        values = tf.make_ndarray(node.attr["value"].tensor)
        if 1 < values.size <= _MANY:
            layer = program.layer_of(name) or owner
            own = f"{layer}/slopes".lstrip("/")
            found[name] = Weight(f"{name}:0", layer, own, values.shape, partial(_held, values))
    return found


def _whole_numbers(program: Program) -> dict[str, Weight]:
    """Variables of whole numbers, as of quantized slopes: each begins where it becomes a float."""
    known = {weight.tensor: weight for weight in program.weights}
    found = {}
    for name, node in program.nodes.items():
        if node.op == "Cast" and node.attr["DstT"].type == tf.float32.as_datatype_enum:
            weight = known.get(program.origin(node.input[0]))
            if weight is not None:
                found[name] = replace(weight, tensor=f"{name}:0", read=partial(_as_floats, weight))
    return found


def _as_floats(weight: Weight) -> Array:
    return weight.read().astype(np.float32)


def _held(values: Array) -> Array:
    return values


def _shape(program: Program, tensor: str) -> tuple[int | None, ...] | None:
    shape = program.shape_of(tensor)
    if shape is None or shape.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)


def _common_shape(
    before: tuple[int | None, ...] | None, after: tuple[int | None, ...] | None
) -> tuple[int | None, ...] | None:
    """What two shapes may both be: slopes can say more of the output than is known of the input."""
    if before is None or after is None or len(before) != len(after):
        return None
    pairs = list(zip(before, after, strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return None
    return tuple(one if other is None else other for one, other in pairs)


def _kind(program: Program, part: Part) -> str:
    """The function that gives the output."""
    return str(program.nodes[node_of(part.y)].op).lower()


def _others(program: Program, weight: Weight, slopes: Iterable[str]) -> int | None:
    sizes = [
        int(np.prod(other.shape))
        for other in program.weights
        if other.layer == weight.layer and other.name not in slopes
    ]
    return sum(sizes) or None


def _told_apart(found: Iterable[Found]) -> list[Found]:
    """Other slopes that come from the same variable have their own name."""
    known: dict[str, list[bytes]] = {}
    result = []
    for item in found:
        call = item.call
        slopes = call.values.reshape(-1)[call.indices].tobytes()
        others = known.setdefault(call.parameter, [])
        if slopes not in others:
            others.append(slopes)
        if number := others.index(slopes):
            name = f"{call.parameter}_{number}"
            item = Found(replace(call, parameter=name), replace(item.tap, parameter=name))
        result.append(item)
    return result


def _named(found: Sequence[Found]) -> list[Found]:
    """A layer with several slopes has each of them called by its own name."""
    owned: dict[str, set[str]] = {}
    for item in found:
        owned.setdefault(item.call.layer, set()).add(item.call.parameter)
    return [
        item._replace(call=replace(item.call, layer=_own_name(item.call)))
        if len(owned[item.call.layer]) > 1 or not item.call.layer
        else item
        for item in found
    ]


def _own_name(call: PReLUCall) -> str:
    return f"{call.layer}/{call.parameter.rpartition('/')[2]}".lstrip("/")
