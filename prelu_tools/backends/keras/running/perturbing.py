"""Perturb the result of every operator of a TensorFlow graph at random, as rounding may.

Each node is followed by a Mul with a random factor near 1, in library functions too; a node that
adds many terms is also preceded by one. The Mul takes over the node's name, so that everything that
reads or fetches the node gets the perturbed value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from tensorflow.python.framework import op_def_registry

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.program import calls_of, holders, rename_functions
from prelu_tools.backends.keras.running.adding import Nodes
from prelu_tools.backends.keras.running.rounding import (
    KERNELS,
    LINEAR,
    RELATIVE_TO_ONE,
    ROUNDED_ONCE,
    ROUNDS_INSIDE,
)
from prelu_tools.core.rounding.noise import (
    MANY,
    Noise,
    plain_sum_growth,
    sum_growth,
    term_growth,
)

_UNKNOWN = 64  # for a size that is unknown in the trace
_KERNEL = 4.0  # rounding errors of a function's kernel
_UNITS = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_STATEFUL = {"StatelessWhile": "While", "StatelessIf": "If", "PartitionedCall":
             "StatefulPartitionedCall", "StatelessCase": "Case"}  # fmt: skip
_SUMS = ("Sum", "Mean", "AvgPool", "AvgPool3D", "Cumsum")


def perturb(definition: Any, noise: Noise) -> None:
    """Make a GraphDef perturb its results, in place; each run draws other noise."""
    rename_functions(definition, "_perturbed")
    numbers = count(1)
    for function in definition.library.function:
        perturber = _Perturber(noise, function.node_def, True, numbers)
        perturber.perturb()
        for key, name in function.ret.items():
            function.ret[key] = perturber.now(name)
    _Perturber(noise, definition.node, False, numbers).perturb()
    for nodes in holders(definition).values():
        for node in nodes:
            if calls_of(node):  # of bodies that draw random numbers, and so are no longer stateless
                node.op = _STATEFUL.get(node.op, node.op)


class _Perturber:
    """Perturbs the nodes of a graph, or of a function, whose tensors have longer names."""

    def __init__(self, noise: Noise, nodes: Any, is_function: bool, numbers: count[int]) -> None:
        self._noise = noise
        self._nodes = nodes
        self._is_function = is_function
        self._numbers = numbers
        self._kept = {node.name: node for node in nodes}
        self._hidden: set[str] = set()

    def perturb(self) -> None:
        """Perturb them in place."""
        for node in list(self._nodes):
            kind = ""
            if "T" in node.attr and node.attr["T"].WhichOneof("value") == "type":
                kind = tf.as_dtype(node.attr["T"].type).name
            if kind in _UNITS:
                self._perturb_node(node, kind)
        for node in self._nodes:
            for place, name in enumerate(node.input):
                node.input[place] = self.now(name, reader=node.name)

    def now(self, tensor: str, reader: str = "") -> str:
        """What a tensor is called now: the first output of a perturbed node is the Mul's."""
        name, _, port = tensor.partition(":")
        if (
            name not in self._hidden
            or tensor.startswith("^")
            or reader.startswith(f"{name}/perturbed_")
        ):
            return tensor
        if not port or (port.endswith(":0") and self._is_first(name, port)):
            return f"{name}:z:0" if self._is_function else name
        return f"{name}/perturbed_raw:{port}" if port != "0" else name

    def _is_first(self, name: str, port: str) -> bool:
        outputs = op_def_registry.get(self._kept[name].op).output_arg
        return port == f"{outputs[0].name}:0"

    def _perturb_node(self, node: Any, kind: str) -> None:
        operator, once, growth = node.op, 1.0, 0.0
        rank, axes = self._long(node) if kind in ("float32", "float64") else (0, [])
        if operator in LINEAR:
            terms = self._terms(node)
            growth = (plain_sum_growth if operator in _SUMS else sum_growth)(terms)
            self._perturb_input(node, LINEAR[operator], kind, (1.0, term_growth(terms)))
        elif operator in ROUNDS_INSIDE:
            sizes = self._shape(node.name)
            growth = plain_sum_growth(max(sizes, default=_UNKNOWN))
            places = max(sizes[1:3], default=2) if "Resize" in operator else 2
            self._perturb_input(node, 0, kind, (float(places), 0.0))
        elif operator in KERNELS or operator in RELATIVE_TO_ONE:
            once = _KERNEL
        elif operator not in ROUNDED_ONCE:
            return
        if operator.startswith("Resize") and operator != "ResizeNearestNeighbor":
            kind = "float32"  # whatever it takes
        self._perturb_output(node, kind, self._amount(kind, once, growth), rank, axes)

    def _perturb_output(
        self, node: Any, kind: str, amount: float, rank: int, axes: list[int]
    ) -> None:
        name = node.name
        outputs = op_def_registry.get(node.op).output_arg
        node.name = f"{name}/perturbed_raw"
        self._kept[node.name] = node
        self._hidden.add(name)
        raw = self._of(node.name, outputs[0].name)
        if axes:
            nodes = Nodes(
                self._nodes, f"{name}/perturbed_long", kind, self._is_function, self._seeds()
            )
            raw = nodes.perturbed(node.input[0], axes, rank, raw, node.op == "Softmax")
        if node.op in RELATIVE_TO_ONE:
            offset = self._random(
                f"{name}/perturbed_offset", raw, kind, 0.0, self._amount(kind, 1.0)
            )
            raw = self._add(f"{name}/perturbed_added", "AddV2", kind, "z", raw, offset)
        factor = self._random(f"{name}/perturbed_noise", raw, kind, 1.0, amount)
        self._add(name, "Mul", kind, "z", raw, factor)
        if "_output_shapes" in node.attr:
            kept = self._nodes[-1].attr["_output_shapes"]
            kept.list.shape.add().CopyFrom(node.attr["_output_shapes"].list.shape[0])

    def _seeds(self) -> Iterator[int]:
        """Random seeds of this run, which no other node has."""
        return (self._noise.seed * 7919 + number for number in self._numbers)

    def _long(self, node: Any) -> tuple[int, list[int]]:
        """How many axes it reduces from, and along which it adds many terms, or unknown."""
        shape = self._exact_shape(node.input[0]) if node.op in ("Sum", "Mean", "Softmax") else []
        axes = {len(shape) - 1} if node.op == "Softmax" else set()
        if shape and node.op != "Softmax":
            known = self._kept.get(node.input[1].partition(":")[0])
            if known is None or known.op != "Const":
                return 0, []
            values = tf.make_ndarray(known.attr["value"].tensor).reshape(-1)
            axes = {int(axis) % len(shape) for axis in values}
        terms = math.prod(float(shape[axis] or math.inf) for axis in axes)
        return len(shape), sorted(axes) if shape and terms > MANY else []

    def _perturb_input(
        self, node: Any, place: int, kind: str, roundings: tuple[float, float]
    ) -> None:
        tensor = self.now(node.input[place])
        name = f"{node.name}/perturbed_in"
        factor = self._random(
            f"{name}/perturbed_noise", tensor, kind, 1.0, self._amount(kind, *roundings)
        )
        node.input[place] = self._add(name, "Mul", kind, "z", tensor, factor)

    def _amount(self, kind: str, once: float, growth: float = 0.0) -> float:
        return self._noise.amount(_UNITS[kind], once, growth)

    def _random(self, name: str, like: str, kind: str, middle: float, amount: float) -> str:
        """Random numbers around a middle, in the shape of a tensor."""
        shape = self._add(
            f"{name}/perturbed_shape", "Shape", kind, "output", like, out_type=tf.int32
        )
        drawn = self._nodes.add(name=f"{name}/perturbed_drawn", op="RandomUniform", input=[shape])
        drawn.attr["T"].type = tf.int32.as_datatype_enum
        drawn.attr["dtype"].type = tf.as_dtype(kind).as_datatype_enum
        drawn.attr["seed"].i = self._noise.seed + 1
        drawn.attr["seed2"].i = next(self._numbers)
        drawn_name = self._of(drawn.name, "output")
        wide = self._constant(f"{name}/perturbed_wide", kind, 2 * amount)
        low = self._constant(f"{name}/perturbed_low", kind, middle - amount)
        scaled = self._add(f"{name}/perturbed_scaled", "Mul", kind, "z", drawn_name, wide)
        return self._add(name, "AddV2", kind, "z", scaled, low)

    def _constant(self, name: str, kind: str, value: float) -> str:
        node = self._nodes.add(name=name, op="Const")
        node.attr["dtype"].type = tf.as_dtype(kind).as_datatype_enum
        array = np.asarray(value, tf.as_dtype(kind).as_numpy_dtype)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array, shape=()))
        return self._of(name, "output")

    def _add(
        self, name: str, operator: str, kind: str, output: str, *inputs: str, **types: Any
    ) -> str:
        node = self._nodes.add(name=name, op=operator, input=inputs)
        node.attr["T"].type = tf.as_dtype(kind).as_datatype_enum
        for key, value in types.items():
            node.attr[key].type = value.as_datatype_enum
        return self._of(name, output)

    def _of(self, name: str, output: str) -> str:
        return f"{name}:{output}:0" if self._is_function else name

    def _shape(self, tensor: str) -> list[int]:
        return [_UNKNOWN if size is None else size for size in self._exact_shape(tensor)]

    def _exact_shape(self, tensor: str) -> list[int | None]:
        """The sizes, None for those that the trace does not know; empty for no known axes."""
        node = self._kept.get(tensor.partition(":")[0])
        shapes: list[Any] = []
        if node is not None and "_output_shapes" in node.attr:
            shapes = list(node.attr["_output_shapes"].list.shape)
        if not shapes or shapes[0].unknown_rank:
            return []
        return [dim.size if dim.size > 0 else None for dim in shapes[0].dim]

    def _terms(self, node: Any) -> float:
        """How many terms one result has: of a product by its weights."""
        if node.op in _SUMS or node.op.endswith(("FFT", "FFT2D", "FFT3D")):
            taken, given = self._shape(node.input[0]), self._shape(node.name)
            if node.op == "Cumsum" or "FFT" in node.op:
                return float(max(taken, default=_UNKNOWN))
            return max(1.0, math.prod(taken or [_UNKNOWN]) / max(math.prod(given or [1]), 1))
        weights = self._shape(node.input[1])
        if not weights:
            return float(_UNKNOWN)
        if node.op.endswith("MatMul") or "BatchMatMul" in node.op or node.op == "Einsum":
            taken = self._shape(node.input[0])
            return float(max(taken[-1:] or [1]) if taken else _UNKNOWN)
        return math.prod(weights) / max(weights[-2 if "Backprop" in node.op else -1], 1)
