"""Nodes that measure the rounding of a graph's long sums and norms.

The terms of a flat map or of silence round the same way thousands of times: see `one_by_one`, which
these nodes compute in every perturbed run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.noise import ALIKE, HUGE, SCALES, TINY
from prelu_tools.graph.walk import attribute_of

_AXES_ARE_INPUTS = {"ReduceSum": 13}  # of the others from opset 18
_SCALE_BY_CHANNEL = 21  # of GroupNormalization: before, by group

NORMS = ("InstanceNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization")


class Nodes:
    """Nodes of one output each, of names that nothing else has."""

    def __init__(self, stem: str, opset: int, seed: int) -> None:
        """Nothing is made yet.

        Args:
            stem: what their names begin with.
            opset: of ONNX's own operators.
            seed: of their random numbers.
        """
        self.made: list[onnx.NodeProto] = []
        """All of them, in order."""
        self.opset = opset
        self._stem = stem
        self._seed = seed

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = f"{self._stem}/{len(self.made)}"
        self.made.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def whole(self, *values: int) -> str:
        """A constant of integers."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant float32."""
        return self._constant(np.array(value, np.float32))

    def random(self, like: str, reach: float) -> str:
        """Random float32 numbers from -reach to reach, in the shape of a tensor."""
        return self.add("RandomUniformLike", like, low=-reach, high=reach, seed=self._next(),
                        dtype=TensorProto.FLOAT)  # fmt: skip

    def perturbed(self, tensor: str, *amounts: str) -> str:
        """A tensor of float32, perturbed by these random shares of it."""
        for amount in amounts:  # infinity plus nothing of itself would be NaN
            tensor = self.add("Mul", tensor, self.add("Add", amount, self.number(1.0)))
        return tensor

    def reduce(self, operator: str, rows: str, axis: int) -> str:
        """A reduction of the last axis, which is kept."""
        if self.opset >= _AXES_ARE_INPUTS.get(operator, 18):
            return self.add(operator, rows, self.whole(axis), keepdims=1)
        return self.add(operator, rows, axes=[axis], keepdims=1)

    def one_by_one(self, rows: str, axis: int) -> str:
        """Shares by which sums of the last axis are perturbed: see the function of that name."""
        shares = [self._measured(rows, axis) for _ in range(SCALES)]
        share = self.add("Mean", *shares)
        drawn = self.random(share, ALIKE / 2)  # never near 0: a squared value shows a border
        least = self.add("Mul", self.add("Sign", drawn), self.number(ALIKE / 2))  # by this
        return self.add("Mul", share, self.add("Add", drawn, least))

    def _measured(self, rows: str, axis: int) -> str:
        """Measure the error of sums over the last axis whose scaled terms are added one by one."""
        scale = self.add("RandomUniform", low=1.0, high=2.0, shape=[1], seed=self._next())
        rows = self.add("Mul", rows, scale)
        running = self.add("CumSum", rows, self.whole(axis))
        added = self.add("Gather", running, self.whole(-1), axis=axis)
        total = self.reduce("ReduceSum", rows, axis)
        off = self.add("Abs", self.add("Sub", added, total))
        size = self.add("Max", self.add("Abs", total), self.number(TINY))
        share = self.add("Div", off, size)
        known = self.add("Less", share, self.number(HUGE))  # infinity, and NaN, are not
        return self.add("Where", known, share, self.number(0.0))

    def _constant(self, values: Array) -> str:
        return self.add("Constant", value=numpy_helper.from_array(values))

    def _next(self) -> float:
        return float((self._seed * 7919 + len(self.made) * 31 + 5) % (1 << 22))


def _squares(nodes: Nodes, rows: str, axis: int) -> str:
    return nodes.add("Mul", rows, rows)


def _exponentials(nodes: Nodes, rows: str, axis: int) -> str:
    return nodes.add("Exp", nodes.add("Sub", rows, nodes.reduce("ReduceMax", rows, axis)))


Added = Callable[[Nodes, str, int], str]
ADDED: Mapping[str, tuple[Added, float]] = {
    "ReduceMean": (lambda nodes, rows, axis: rows, 1.0),
    "ReduceSum": (lambda nodes, rows, axis: rows, 1.0),
    "GlobalAveragePool": (lambda nodes, rows, axis: rows, 1.0),
    "ReduceL1": (lambda nodes, rows, axis: nodes.add("Abs", rows), 1.0),
    "ReduceSumSquare": (_squares, 1.0),
    "ReduceL2": (_squares, 0.5),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ReduceLogSumExp"), (_exponentials, 1.0)),
}
"""What an operator sums, and the power of that sum in its result."""
LOGARITHMS = ("LogSoftmax", "ReduceLogSumExp")
"""Logarithms of a sum: a relative error of the sum is an absolute error of the result."""


def rows_of(nodes: Nodes, tensor: str, rank: int, axes: Sequence[int]) -> tuple[str, int]:
    """A tensor of float32 with these axes as its last one, and the number of that axis."""
    taken = sorted(axis % rank for axis in axes)
    kept = [axis for axis in range(rank) if axis not in taken]
    tensor = nodes.add("Cast", tensor, to=TensorProto.FLOAT)
    if [*kept, *taken] != list(range(rank)):
        tensor = nodes.add("Transpose", tensor, perm=[*kept, *taken])
    return nodes.add("Reshape", tensor, nodes.whole(*[0] * len(kept), -1)), len(kept)


def normalised(nodes: Nodes, node: onnx.NodeProto, rank: int, amount: float, once: float) -> str:
    """The result of a norm, written as float32 sums: mean and variance are off per group.

    Args:
        nodes: where it is written.
        node: the norm.
        rank: the rank of its input.
        amount: by which share its mean and deviation are perturbed in any case.
        once: by which share each result is.
    """
    x = nodes.add("Cast", node.input[0], to=TensorProto.FLOAT)
    operator, groups = node.op_type, attribute_of(node, "num_groups", 0)
    if operator == "GroupNormalization":
        rows, axis = nodes.add("Reshape", x, nodes.whole(0, groups, -1)), 2
    else:
        axis = 2 if operator == "InstanceNormalization" else attribute_of(node, "axis", -1)
        rows, axis = rows_of(nodes, x, rank, range(axis % rank, rank))
    shape = back = nodes.add("Shape", x)
    result = _standardised(nodes, node, rows, axis, amount)
    places = {"InstanceNormalization": (-1, *[1] * (rank - 2)),
              "GroupNormalization": (-1, *[1] * (rank - 2))}.get(operator, ())  # fmt: skip
    if groups and nodes.opset < _SCALE_BY_CHANNEL:
        back, places = nodes.whole(0, groups, -1), (-1, 1)
    result = nodes.add("Reshape", result, back)
    for apply, factor in zip(("Mul", "Add"), node.input[1:], strict=False):
        if factor:
            result = nodes.perturbed(result, nodes.random(result, once))
            factor = nodes.add("Cast", factor, to=TensorProto.FLOAT)
            factor = nodes.add("Reshape", factor, nodes.whole(*places)) if places else factor
            result = nodes.add(apply, result, factor)
    result = nodes.add("Reshape", result, shape)
    return nodes.perturbed(result, nodes.random(result, once))


def _standardised(nodes: Nodes, node: onnx.NodeProto, rows: str, axis: int, amount: float) -> str:
    """Rows of mean 0 and variance 1."""
    away = nodes.number(0.0)
    if node.op_type != "RMSNormalization":
        mean = nodes.reduce("ReduceMean", rows, axis)
        perturbed = nodes.perturbed(mean, nodes.one_by_one(rows, axis), nodes.random(mean, amount))
        rows, away = nodes.add("Sub", rows, perturbed), nodes.add("Abs", mean)
    squares = nodes.add("Mul", rows, rows)
    variance = nodes.reduce("ReduceMean", squares, axis)
    variance = nodes.perturbed(variance, nodes.one_by_one(squares, axis))
    epsilon = nodes.number(attribute_of(node, "epsilon", 1e-5))
    scale = nodes.add("Sqrt", nodes.add("Add", variance, epsilon))
    # Kernels that take the square of the mean from the mean square are off by that too.
    far = nodes.add("Add", nodes.add("Div", away, scale), nodes.number(1.0))
    result = nodes.add("Div", rows, scale)
    return nodes.perturbed(result, nodes.add("Mul", far, nodes.random(far, amount)))
