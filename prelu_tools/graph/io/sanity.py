"""Reject a graph that no runtime loads, before anything else looks at it.

All later code relies on this: a node has the inputs that its operator needs and an output; every
tensor that is read is produced, once, and never from itself; functions are not recursive; and a
tensor has the number of values that its shape says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.budget import BYTES_A_BYTE, LEAST_BYTES
from prelu_tools.graph.io.attribute_checks import refuse_attributes, refuse_contradictions
from prelu_tools.graph.io.tensor_checks import (
    BrokenGraphError,
    named,
    refuse_no_text,
    refuse_tensors,
)
from prelu_tools.graph.walk import OWN, CycleError, all_nodes, bodies, in_order, reads

_LATEST: Final = 1_000_000  # opset: beyond any that there will be, and below what onnx takes
_NODE: Final = 1 << 8  # bytes of memory that a node takes in addition to its own
_DEEPEST: Final = 64
_SILENT: Final = 2  # the last IR version whose models name no opset


def refuse_broken(proto: onnx.ModelProto, path: Path) -> None:
    """Look at every graph, function and tensor of a model.

    Args:
        proto: the model.
        path: its file; whether the files of its data are there is for their reader to say.

    Raises:
        PReLUToolsError: something in it cannot be; the message names it.
    """
    try:
        refuse_no_text(proto.producer_name, proto.producer_version)
        refuse_no_text(*(o.domain for o in proto.opset_import))
        refuse_no_text(
            *(text for entry in proto.metadata_props for text in (entry.key, entry.value))
        )
        refuse_tensors(proto, path)
        versions = _versions(proto)
        _functions(proto, versions, path.stat().st_size)
        _graph(proto.graph, frozenset(), Operators(versions), in_function=False)
    except BrokenGraphError as error:
        raise PReLUToolsError(f"{path} is not a valid ONNX model: {error}") from error


def _versions(proto: onnx.ModelProto) -> dict[str, int]:
    """The opsets that a model imports: before IR version 3 it says none, and means 1."""
    found = _imported(proto.opset_import)
    own = any(domain in found for domain in OWN)
    if own or proto.ir_version <= _SILENT:
        return found
    if any(node.domain in OWN for node in all_nodes(proto.graph.node)):
        raise BrokenGraphError("it has ONNX operators but does not state their opset")
    return found


def _imported(opsets: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    found: dict[str, int] = {}
    for opset in opsets:
        domain = "" if opset.domain in OWN else opset.domain
        if found.setdefault(domain, opset.version) != opset.version:
            raise BrokenGraphError(f"it imports two opsets of the domain {named(domain)}")
    for domain, version in found.items():
        if not 0 <= version < _LATEST:
            raise BrokenGraphError(f"it imports opset {version} of the domain {named(domain)}")
    return found


_SINGLE: Final = onnx.defs.OpSchema.FormalParameterOption.Single


@dataclass(frozen=True)
class _Needs:
    """The inputs and attributes of an operator; anything if it is unknown."""

    needed: tuple[int, ...] = ()
    """The inputs that must not be "", by their places."""
    least: int = 0
    """Inputs."""
    most: int = 2**31
    """Inputs."""
    attributes: frozenset[str] = frozenset()
    """Those that it has to have."""


class Operators:
    """The inputs and attributes of ONNX operators, in the versions that a model imports."""

    def __init__(self, versions: Mapping[str, int]) -> None:
        """Look nothing up yet; `versions` are the opsets by their domains."""
        self._version = max((versions.get(domain, 0) for domain in OWN), default=0)
        self._known: dict[str, _Needs] = {}

    def refuse_misuse(self, node: onnx.NodeProto) -> None:
        """Check a node against the requirements of its operator.

        Raises:
            BrokenGraphError: it lacks an input or an attribute, or has too many inputs.
        """
        if node.domain not in OWN:
            return
        if node.op_type not in self._known:
            self._known[node.op_type] = self._looked_up(node.op_type)
        known = self._known[node.op_type]
        if lacking := known.attributes - {one.name for one in node.attribute}:
            raise BrokenGraphError(f"{_called(node)} lacks its attribute {named(min(lacking))}")
        if len(node.input) < known.least or not all(node.input[place] for place in known.needed):
            raise BrokenGraphError(f"{_called(node)} lacks one of its {known.least} inputs")
        if len(node.input) > known.most:
            raise BrokenGraphError(
                f"{_called(node)} has {len(node.input):,} inputs, but may have at most "
                f"{known.most:,}"
            )

    def _looked_up(self, operator: str) -> _Needs:
        try:
            schema = onnx.defs.get_schema(operator, self._version or 1, "")
        except onnx.defs.SchemaError:
            return _Needs()
        return _Needs(
            tuple(i for i, formal in enumerate(schema.inputs) if formal.option == _SINGLE),
            schema.min_input,
            schema.max_input,
            frozenset(n for n, one in schema.attributes.items() if one.required),
        )


def _called(node: onnx.NodeProto) -> str:
    return f"node {named(node.name or next(iter(node.output), ''))} ({named(node.op_type)})"


def _graph(
    graph: onnx.GraphProto, outer: Collection[str], operators: Operators, in_function: bool
) -> None:
    """One graph, and those in it.

    Args:
        graph: the graph.
        outer: the tensors of the graphs around it.
        operators: the requirements of operators.
        in_function: whether it is in a body of a function.
    """
    stored = [tensor.name for tensor in graph.initializer]
    stored += [sparse.values.name for sparse in graph.sparse_initializer]
    _once(stored, "is stored twice")
    inputs = [value.name for value in graph.input]
    values = [*graph.input, *graph.output, *graph.value_info]
    refuse_no_text(*(v.name for v in values))
    refuse_no_text(*(d.dim_param for v in values for d in v.type.tensor_type.shape.dim))
    _once(inputs, "is an input twice")
    known = {*outer, *stored, *inputs}
    _nodes(graph.node, known, operators, {*stored, *inputs}, in_function)
    for value in graph.output:
        if value.name not in known:
            raise BrokenGraphError(f"its output {named(value.name)} is not produced by any node")


def _once(names: Iterable[str], why: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise BrokenGraphError(f"tensor {named(name)} {why}")


def _nodes(
    nodes: Sequence[onnx.NodeProto],
    known: set[str],
    operators: Operators,
    own: Collection[str],
    in_function: bool,
) -> None:
    """Check the nodes of a graph or function; their outputs are added to `known`."""
    made = set(own)
    for node in nodes:
        refuse_no_text(node.name, node.op_type, node.domain, *node.input, *node.output)
        refuse_no_text(
            *(text for entry in node.metadata_props for text in (entry.key, entry.value))
        )
        if node.attribute:
            refuse_no_text(*(attribute.name for attribute in node.attribute))
            refuse_attributes(node.attribute, _called(node), in_function)
            refuse_contradictions(node, _called(node))
        if not node.output:
            raise BrokenGraphError(f"{_called(node)} has no output")
        operators.refuse_misuse(node)
        for name in filter(None, node.output):
            if name in made:
                raise BrokenGraphError(f"tensor {named(name)} is produced twice")
            made.add(name)
    ready = known - made | set(own)
    known |= made
    _refuse_circles(nodes, ready, known)
    for node in nodes:
        for body in bodies(node):
            _graph(body, known, operators, in_function)


def _refuse_circles(
    nodes: Sequence[onnx.NodeProto], ready: set[str], known: Collection[str]
) -> None:
    """Reject nodes that read what only they, or nodes that read them, make.

    Args:
        nodes: those of one graph.
        ready: the tensors that exist before them; the nodes' own outputs are added.
        known: those tensors and their outputs.
    """
    is_sorted = True
    for node in nodes:
        for name in reads(node):
            if name not in known:
                raise BrokenGraphError(
                    f"{_called(node)} reads {named(name)}, which nothing produces"
                )
            is_sorted &= name in ready
        ready.update(node.output)
    if is_sorted:
        return
    try:
        in_order(nodes)
    except CycleError as error:
        raise BrokenGraphError(
            f"{_called(error.node)} is part of a cycle, or reads from one"
        ) from None


def _functions(proto: onnx.ModelProto, versions: Mapping[str, int], size: int) -> None:
    """Local functions are not recursive, and inlining them does not exhaust memory.

    Args:
        proto: the model.
        versions: its opsets.
        size: bytes of the model's file.

    Raises:
        BrokenGraphError: one cannot be, or they are too much.
    """
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    if not functions:
        return
    sizes: dict[tuple[str, str, str], int] = {}
    if len(functions) < len(proto.functions):
        raise BrokenGraphError("it defines a function twice")
    for function in functions.values():
        if function.domain in OWN and onnx.defs.has(function.name, ""):
            raise BrokenGraphError(
                f"its function {named(function.name)} has the name of an ONNX operator"
            )
        called = f"its function {named(function.name)}"
        refuse_attributes(function.attribute_proto, called, in_function=False)
        own = _imported(function.opset_import)
        refuse_no_text(function.name, function.domain, *function.input, *function.output, *own)
        _once(function.input, "is an input twice")
        operators = Operators({**versions, **own})
        _nodes(function.node, set(function.input), operators, function.input, in_function=True)
    total = _size(all_nodes(proto.graph.node), functions, sizes, ())
    most = LEAST_BYTES + BYTES_A_BYTE * size
    if total > most and any(sizes.values()):
        raise BrokenGraphError(f"its functions, inlined, take more than {most:,} bytes")


_Key = tuple[str, str, str]


def _size(
    nodes: Iterable[onnx.NodeProto],
    functions: Mapping[_Key, onnx.FunctionProto],
    sizes: dict[_Key, int],
    path: tuple[_Key, ...],
) -> int:
    """How many bytes these take once every call of a function is its nodes."""
    total = 0
    for node in nodes:
        key = (node.domain, node.op_type, node.overload)
        if key not in functions:
            total += node.ByteSize() + _NODE
            continue
        if key in path or len(path) > _DEEPEST:
            raise BrokenGraphError(f"its function {named(node.op_type)} calls itself")
        if key not in sizes:
            inner = all_nodes(functions[key].node)
            sizes[key] = _size(inner, functions, sizes, (*path, key))
        total += sizes[key]
    return total
