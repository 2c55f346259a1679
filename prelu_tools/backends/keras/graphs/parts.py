"""The parts of a Keras model's graph that may be PReLUs.

A part computes each element of its output from the element at the same place of one tensor and from
variables that may be slopes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tensorflow.python.framework import op_def_registry

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import Program, Weight, node_of

_LARGEST = 10_000  # bytes of a node; larger ones are tables, which code does not create twice
_STEPS = 16  # nodes in one part
_JOINED_STEPS = 1024  # nodes in a part that concatenates its output
_JOINS = frozenset(("ConcatV2", "Pack"))
_ELEMENTWISE = frozenset((
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Neg", "Abs", "Sign", "Relu", "LeakyRelu",
    "Maximum", "Minimum", "ClipByValue", "Select", "SelectV2", "Cast", "LogicalNot", "Greater",
    "GreaterEqual", "Less", "LessEqual", "NotEqual", "Identity", "MulNoNan", "ZerosLike",
    "OnesLike", "DepthwiseConv2dNative", "AddN", "BiasAdd", "Square", "LogicalAnd", "LogicalOr",
    "Equal", "Sqrt", "Reciprocal", "Inv", "DivNoNan", "Div", "CheckNumerics", "EnsureShape",
    "PreventGradient", "Snapshot", "StopGradient",
))  # fmt: skip
_MOVES = _JOINS | frozenset((
    "Transpose", "Reshape", "ExpandDims", "Squeeze", "StridedSlice", "Slice", "Unpack", "Split",
    "SplitV", "GatherV2", "Shape", "Prod",
))  # fmt: skip
"""Operators that move elements, or say how many there are."""
_PRODUCTS = frozenset(("MatMul", "BatchMatMulV2", "Einsum"))
_SMOOTH = _MOVES | _PRODUCTS | frozenset((
    "Add", "AddV2", "Sub", "Mul", "RealDiv", "Neg", "Cast", "Identity", "BiasAdd", "AddN",
    "CheckNumerics", "EnsureShape", "PreventGradient", "Snapshot", "StopGradient",
    "DepthwiseConv2dNative",
))  # fmt: skip
"""Operators that do the same on both sides of 0: no PReLU consists of these alone."""


class Part(NamedTuple):
    """A part of the graph: an output, and the one tensor that it is computed from."""

    x: str
    y: str
    nodes: tuple[str, ...]
    """The nodes between them, and those of the constants among their inputs."""
    weights: tuple[Weight, ...]
    """The variables among these."""


class Parts:
    """The parts of a graph that may be PReLUs."""

    def __init__(self, program: Program, weights: Mapping[str, Weight]) -> None:
        self._nodes = program.nodes
        self._weights = weights
        self._order = {name: place for place, name in enumerate(_in_order(program.nodes))}
        self.constant = self._find_constants()
        """Nodes that depend on weights and on numbers of the code alone."""
        self.known = {node_of(tap.y) for tap in program.taps}
        """Nodes that return the output of a known PReLU: no part reaches across them."""

    def _find_constants(self) -> set[str]:
        found: set[str] = set()
        for name in self._order:
            node = self._nodes[name]
            if (
                node.op == "Const"
                or name in self._weights
                or (node.input and all(node_of(read) in found for read in node.input))
            ):
                found.add(name)
        return found

    def ending_in(self, name: str) -> Iterator[Part]:
        """Those that end in a node, the smallest first."""
        edge, inside = {name: f"{name}:0"}, []
        is_kinked = False
        for _ in range(_JOINED_STEPS if self._nodes[name].op in _JOINS else _STEPS):
            latest = max(edge, key=self._order.__getitem__)
            del edge[latest]
            node = self._nodes[latest]
            if latest in self.constant or latest in self.known or not self._may_belong(node):
                return
            inside.append(latest)
            is_kinked |= node.op not in _SMOOTH
            for read in node.input:
                if node_of(read) not in self.constant:
                    edge[node_of(read)] = read if ":" in read else f"{read}:0"
            if not edge:
                return
            if len(edge) == 1 and is_kinked:
                behind = self._behind(inside)
                weights = tuple(self._weights[n] for n in behind if n in self._weights)
                if weights:
                    (x,) = edge.values()
                    yield Part(x, f"{name}:0", (*inside, *behind), weights)

    def _may_belong(self, node: Any) -> bool:
        """Whether a node may be part of a PReLU; products, only if they have no stored factor.

        What multiplies by a weight as it is stored is a separate layer.
        """
        if node.op not in _PRODUCTS:
            return node.op in _ELEMENTWISE or node.op in _MOVES
        if node.op == "Einsum" and not _keeps_axes(node.attr["equation"].s.decode()):
            return False
        factors = [node_of(read) for read in node.input if node_of(read) in self.constant]
        return node.op == "Einsum" or not any(
            self._nodes[name].op in ("Identity", "Reshape", "ReadVariableOp", "Cast")
            or name in self._weights
            for name in factors
        )

    def origins(self, wanted: Container[str]) -> dict[str, Weight]:
        """The weight that each constant node depends on, a wanted one first."""
        found: dict[str, Weight] = {}
        for name in self._order:
            if name in self._weights:
                found[name] = self._weights[name]
            elif name in self.constant:
                known = [found[n] for n in map(node_of, self._nodes[name].input) if n in found]
                if known:
                    found[name] = next((w for w in known if w.name in wanted), known[0])
        return found

    def _behind(self, inside: Sequence[str]) -> list[str]:
        """The constants that nodes read, and what these are computed from."""
        found: dict[str, None] = {}
        waiting = [node_of(read) for name in inside for read in self._nodes[name].input]
        while waiting:
            name = waiting.pop()
            if name in self.constant and name not in found:
                found[name] = None
                if name not in self._weights:
                    waiting += [node_of(read) for read in self._nodes[name].input]
        return list(found)


def read_once(program: Program) -> Program:
    """The same program with repeated computations replaced by the first.

    A layer that is called again on the same tensor returns the same.
    """
    definition = tf.compat.v1.GraphDef()
    definition.CopyFrom(program.definition)
    first: dict[tuple[str, ...], str] = {}
    same: dict[str, str] = {}
    for node in definition.node:
        for place, read in enumerate(node.input):
            name, colon, port = read.partition(":")
            node.input[place] = same.get(name, name) + colon + port
        known = op_def_registry.get(node.op)
        draws = known is None or known.is_stateful or node.op == "Identity"  # a mark
        if draws or node.ByteSize() > _LARGEST or not (node.input or node.op == "Const"):
            continue
        stated = sorted((k, v.SerializeToString(deterministic=True)) for k, v in node.attr.items())
        key = node.op, *node.input, repr(stated)
        if first.setdefault(key, node.name) != node.name:
            same[node.name] = first[key]
    return replace(program, definition=definition) if same else program


def _keeps_axes(equation: str) -> bool:
    """Whether an Einsum gives each element of one input, times those of the others."""
    parts, _, whole = equation.replace(" ", "").partition("->")
    return whole in parts.split(",") and set(parts) - {","} == set(whole)


def _in_order(nodes: Mapping[str, Any]) -> list[str]:
    """The nodes, each after those that it reads."""
    found: dict[str, None] = {}
    for start in nodes:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            left = [n for n in map(node_of, nodes[name].input) if n not in found and n in nodes]
            if left and name not in found:
                waiting += left
            else:
                found[waiting.pop()] = None
    return list(found)
