"""TensorFlow nodes that measure the rounding of a long sum: see `one_by_one`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.core.rounding.noise import ALIKE, HUGE, SCALES, TINY


class Nodes:
    """Nodes of one output each, in a graph or in a function, whose tensors have longer names."""

    def __init__(self, nodes: Any, stem: str, kind: str, is_function: bool, seeds: Any) -> None:
        """Nothing is made yet.

        Args:
            nodes: of the graph; takes what is made.
            stem: what its names begin with.
            kind: the type of its floating-point tensors.
            is_function: whether the nodes are a function's.
            seeds: of its random numbers.
        """
        self._nodes = nodes
        self._stem = stem
        self._kind = tf.as_dtype(kind)
        self._is_function = is_function
        self._seeds = seeds
        self._count = 0

    def add(self, operator: str, output: str, *inputs: str, kind: Any = None, **values: Any) -> str:
        """Add a node; returns the name of its output."""
        self._count += 1
        node = self._nodes.add(name=f"{self._stem}/{self._count}", op=operator, input=inputs)
        node.attr["T"].type = (kind or self._kind).as_datatype_enum
        for key, value in values.items():
            if isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, int):
                node.attr[key].i = value
            else:
                node.attr[key].type = value.as_datatype_enum
        return f"{node.name}:{output}:0" if self._is_function else str(node.name)

    def constant(self, value: Any, kind: Any) -> str:
        """A constant."""
        name = self.add("Const", "output", dtype=kind)
        array = np.asarray(value, kind.as_numpy_dtype)
        self._nodes[-1].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array, array.dtype))
        del self._nodes[-1].attr["T"]
        return name

    def perturbed(
        self, x: str, axes: Sequence[int], rank: int, result: str, is_softmax: bool
    ) -> str:
        """The result of a sum or softmax along some axes, perturbed like its rounding terms."""
        whole = tf.int32
        taken = self.constant(list(axes), whole)
        sizes = self.add("Shape", "output", x, out_type=whole)
        zero = self.constant(0, whole)
        sizes = self.add("GatherV2", "output", sizes, taken, zero, kind=self._kind,
                         Tparams=whole, Tindices=whole, Taxis=whole)  # fmt: skip
        del self._nodes[-1].attr["T"]
        first = self.constant([0], whole)
        terms = self.add("Prod", "output", sizes, first, kind=whole, Tidx=whole)
        rows = x
        order = [axis for axis in range(rank) if axis not in axes] + list(axes)
        if order != list(range(rank)):
            rows = self.add("Transpose", "y", x, self.constant(order, whole), Tperm=whole)
        shape = self._shape_of_rows(terms)
        rows = self._shaped(rows, shape)
        added = self._shaped(result, shape if is_softmax else self.constant([-1, 1], whole))
        if is_softmax:
            largest = self.add("Max", "output", rows, self.constant([1], whole), Tidx=whole,
                               keep_dims=True)  # fmt: skip
            rows = self.add("Exp", "y", self.add("Sub", "z", rows, largest))
        last = self.add("Sub", "z", terms, self.constant(1, whole), kind=whole)
        last = self.add("Pack", "output", zero, last, kind=whole, N=2)
        factor = self.add(
            "AddV2", "z", self._one_by_one(rows, last), self.constant(1.0, self._kind)
        )
        perturbed = self.add("Mul", "z", added, factor)
        return self._shaped(perturbed, self.add("Shape", "output", result, out_type=whole))

    def _shape_of_rows(self, terms: str) -> str:
        minus = self.constant(-1, tf.int32)
        return self.add("Pack", "output", minus, terms, kind=tf.int32, N=2)

    def _shaped(self, tensor: str, shape: str) -> str:
        return self.add("Reshape", "output", tensor, shape, Tshape=tf.int32)

    def _one_by_one(self, rows: str, last: str) -> str:
        """Shares by which sums of rows are perturbed: see the function of that name."""
        measured = [self._measured(rows, last) for _ in range(SCALES)]
        share = self.add("AddN", "sum", *measured, N=SCALES)
        half = ALIKE / 2
        drawn = self._random(self.add("Shape", "output", share, out_type=tf.int32), -half, half)
        least = self.constant(half, self._kind)  # never near 0: a squared value shows a border
        least = self.add("Mul", "z", self.add("Sign", "y", drawn), least)  # by this
        drawn = self.add("AddV2", "z", drawn, least)
        share = self.add("Mul", "z", share, self.constant(1 / SCALES, self._kind))
        return self.add("Mul", "z", share, drawn)

    def _measured(self, rows: str, last: str) -> str:
        """How far sums of rows are off if their terms are scaled and added one by one, in order."""
        whole = tf.int32
        scale = self._random(self.constant([1, 1], whole), 1.0, 2.0)
        rows = self.add("Mul", "z", rows, scale)
        running = self.add("Cumsum", "out", rows, self.constant(1, whole), Tidx=whole)
        size = self.constant([-1, 1], whole)
        added = self.add("Slice", "output", running, last, size, Index=whole)
        axis = self.constant([1], whole)
        total = self.add("Sum", "output", rows, axis, Tidx=whole, keep_dims=True)
        off = self.add("Abs", "y", self.add("Sub", "z", added, total))
        least = self.constant(TINY, self._kind)
        size = self.add("Maximum", "z", self.add("Abs", "y", total), least)
        share = self.add("RealDiv", "z", off, size)
        known = self.add("Less", "z", share, self.constant(HUGE, self._kind))
        return self.add("SelectV2", "output", known, share, self.constant(0.0, self._kind))

    def _random(self, shape: str, low: float, high: float) -> str:
        drawn = self.add("RandomUniform", "output", shape, kind=tf.int32, dtype=self._kind,
                         seed=1 + next(self._seeds), seed2=next(self._seeds))  # fmt: skip
        drawn = self.add("Mul", "z", drawn, self.constant(high - low, self._kind))
        return self.add("AddV2", "z", drawn, self.constant(low, self._kind))
