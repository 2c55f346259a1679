"""Random element-wise regions, half of them PReLU and half of them nearly: written, not recognised.

Nothing here knows how the tool recognises PReLU: a region is put together of identities of algebra,
and a near miss is one of those with one thing wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
CHANNELS, SIZE = 4, 4  # as long as each other: a wrong axis would not be noticed by its size
FAULTS = ("threshold", "cap", "floor", "offset of one side", "gate", "scaled above zero",
          "two inputs", "turned", "squared", "one channel", "kink elsewhere",
          "mixed channels")  # fmt: skip


@dataclass
class Region:
    """A graph of one region, as it is written."""

    random: np.random.Generator
    fault: str | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def pick(self, *choices: Callable[[], str]) -> str:
        """One of several ways to write the same."""
        return choices[self.random.integers(len(choices))]()

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        """A node; now and then with something behind it that changes nothing."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        if kind in ("Less", "Greater", "GreaterOrEqual", "LessOrEqual", "Not", "Equal", "Identity"):
            return output
        chance = self.random.random()
        if chance < 0.05:
            return self.op("Identity", output)
        if chance < 0.08 and kind != "Neg":
            return self.op("Neg", self.op("Neg", output))
        if chance < 0.10 and kind != "Transpose":
            turned = self.op("Transpose", output, perm=[0, 2, 3, 1])
            return self.op("Transpose", turned, perm=[0, 3, 1, 2])
        return output

    def constant(self, values: object) -> str:
        """An initializer."""
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def both(self, kind: str, a: str, b: str) -> str:
        """A commutative operator, either way round."""
        return self.op(kind, *([a, b] if self.random.random() < 0.5 else [b, a]))

    def scaled(self, tensor: str, factor: Array) -> str:
        """A tensor times constants whose product is this: powers of two move about exactly."""
        ways = [
            lambda: self.both("Mul", tensor, self.constant(factor)),
            lambda: self.op("Neg", self.both("Mul", tensor, self.constant(-factor))),
            lambda: self.both(
                "Mul", self.both("Mul", tensor, self.constant(0.5)), self.constant(2 * factor)
            ),
        ]
        if factor.shape == (CHANNELS, 1, 1):
            weight = factor.reshape(CHANNELS, 1, 1, 1)
            ways.append(lambda: self.op("Conv", tensor, self.constant(weight), group=CHANNELS))
            ways.append(lambda: self.mixed(tensor, np.diag(factor.reshape(-1))))
            row = self.constant(factor.reshape(-1))
            ways.append(lambda: self.op("Einsum", tensor, row, equation="nchw,c->nchw"))
        return self.pick(*ways)

    def mixed(self, tensor: str, matrix: Array) -> str:
        """Sums over channels, times the numbers of a matrix."""

        def product() -> str:
            turned = self.op("Transpose", tensor, perm=[0, 2, 3, 1])
            made = self.op("MatMul", turned, self.constant(matrix.T))
            return self.op("Transpose", made, perm=[0, 3, 1, 2])

        weight = matrix.reshape(CHANNELS, CHANNELS, 1, 1)
        return self.pick(lambda: self.op("Conv", tensor, self.constant(weight)), product)

    def zero(self) -> str:
        """Zero, in one of several shapes."""
        shapes = [(), (1,), (CHANNELS, 1, 1), (1, 1, 1, 1)]
        return self.constant(np.zeros(shapes[self.random.integers(4)]))

    def positive(self, x: str) -> str:
        """max(x, 0)."""
        return self.pick(
            lambda: self.op("Relu", x),
            lambda: self.both("Max", x, self.zero()),
            lambda: self.op("Clip", x, self.constant(0.0)),
            lambda: self.both("Mul", self.both("Add", x, self.op("Abs", x)), self.constant(0.5)),
            lambda: self.op("Sub", x, self.negative(x)),
        )

    def negative(self, x: str) -> str:
        """min(x, 0)."""
        return self.pick(
            lambda: self.both("Min", x, self.zero()),
            lambda: self.op("Neg", self.op("Relu", self.op("Neg", x))),
            lambda: self.op("Clip", x, "", self.constant(0.0)),
            lambda: self.op("Sub", x, self.op("Relu", x)),
            lambda: self.both(
                "Mul", self.op("Sub", x, self.op("Abs", x)), self.constant(0.5)
            ),
        )  # fmt: skip

    def is_positive(self, x: str, limit: str) -> str:
        """Whether x is above the limit."""
        return self.pick(
            lambda: self.op("Greater", x, limit),
            lambda: self.op("Less", limit, x),
            lambda: self.op("Not", self.op("LessOrEqual", x, limit)),
        )

    def mask(self, condition: str) -> str:
        """1 where a condition holds, else 0."""
        return self.pick(
            lambda: self.op("Cast", condition, to=TensorProto.FLOAT),
            lambda: self.op("Where", condition, self.constant(1.0), self.constant(0.0)),
        )

    def prelu(self, x: str, slopes: Array) -> str:
        """PReLU of a tensor, with the fault of the region in it."""
        fault, other = self.fault, x
        limit = self.constant(1e-3 if fault == "threshold" else 0.0)
        if fault == "two inputs":
            other = "z"
        if fault == "turned":
            other = self.op("Transpose", x, perm=[0, 1, 3, 2])
        if fault == "squared":
            other = self.both("Mul", x, self.op("Abs", x))
        if fault == "kink elsewhere":
            other = self.op("Sub", x, self.constant(0.25))
        gate = slopes
        above = np.ones((), np.float32)
        if fault == "one channel":
            above = np.where(np.arange(CHANNELS) == 2, 1.001, 1).reshape(-1, 1, 1)
        if fault == "scaled above zero":
            above = np.asarray(1.5)

        def low(tensor: str) -> str:
            if fault == "gate":
                return self.both("Mul", tensor, self.op("Sigmoid", tensor))
            if fault == "floor":
                tensor = self.both("Max", tensor, self.constant(-2.0))
            if fault == "mixed channels":
                return self.mixed(tensor, np.eye(CHANNELS) / 2 + np.eye(CHANNELS, k=1) / 8)
            scaled = self.scaled(tensor, gate)
            if fault == "offset of one side":
                return self.op("Where", self.is_positive(tensor, limit), scaled,
                               self.op("Add", scaled, self.constant(0.1)))  # fmt: skip
            return scaled

        def high(tensor: str) -> str:
            if fault == "cap":
                tensor = self.both("Min", tensor, self.constant(6.0))
            return tensor if (above == 1).all() else self.op("Mul", tensor, self.constant(above))

        def where() -> str:
            condition = self.is_positive(x, limit)
            return self.op("Where", condition, high(x), low(other))

        def mask() -> str:
            kept = self.mask(self.is_positive(x, limit))
            left = self.op("Sub", self.constant(1.0), kept)
            return self.both(
                "Add", self.both("Mul", kept, high(x)), self.both("Mul", left, low(other))
            )

        def parts() -> str:
            if fault == "threshold":
                return where()
            return self.both("Add", high(self.positive(x)), low(self.negative(other)))

        def difference() -> str:
            if fault is not None:
                return parts()
            return self.op("Sub", self.positive(x), self.scaled(self.negative(x), -slopes))

        def factor() -> str:
            if fault is not None:
                return where()
            chosen = self.op("Where", self.is_positive(x, limit), self.constant(1.0),
                             self.constant(slopes))  # fmt: skip
            return self.both("Mul", x, chosen)

        def crelu() -> str:
            if fault is not None:
                return parts()
            joined = self.op("Relu", self.op("Concat", x, self.op("Neg", x), axis=1))
            node = helper.make_node("Split", [joined], ["up", "down"], axis=1, num_outputs=2)
            self.nodes.append(node)
            return self.op("Sub", "up", self.scaled("down", slopes))

        return self.pick(where, mask, parts, parts, difference, factor, crelu)


@dataclass(frozen=True)
class Written:
    """A region in a model, and what it is."""

    proto: onnx.ModelProto
    slopes: Array | None
    """None where it is not a PReLU."""
    output: str
    """The tensor that is PReLU of `before`, or nearly."""
    before: str
    """The tensor that it is made of."""


def write(seed: int) -> Written:
    """A model of one region; every other one is nearly PReLU."""
    random = np.random.default_rng(seed)
    fault = FAULTS[seed // 2 % len(FAULTS)] if seed % 2 else None
    region = Region(random, fault)
    shape = [(CHANNELS, 1, 1), (), (CHANNELS, SIZE, SIZE), (1, CHANNELS, 1, 1)][random.integers(3)]
    slopes = (random.integers(1, 64, shape) / 64 * random.choice([-1, 1], shape)).astype("f")
    before = "x"
    if random.random() < 0.5:
        before = region.op("Mul", "x", region.constant(3.0))
    output = region.prelu(before, slopes)
    region.nodes.append(helper.make_node("Sin", [output], ["y"]))
    size = ["N", CHANNELS, SIZE, SIZE]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, size) for n in ("x", "z")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, size)]
    graph = helper.make_graph(region.nodes, "region", inputs, outputs, region.tensors)
    opsets = [helper.make_opsetid("", 18)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return Written(proto, None if fault else slopes, output, before)
