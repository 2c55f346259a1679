"""Every shape that a slope may have on an input of two to five axes, each as a small model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.passes.writing import Tensors
from prelu_tools.graph.targets.fitting import write
from prelu_tools.graph.targets.slope_shapes import Plan, Way
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import set_nodes

_FLOAT = onnx.TensorProto.FLOAT
_NAMES = {2: "NC", 3: "NCT", 4: "NCHW", 5: "NCDHW"}
_SIZES = {2: (1, 6), 3: (1, 4, 6), 4: (1, 4, 5, 6), 5: (1, 4, 2, 3, 5)}
_EQUAL = 5  # of every axis: what is told apart by size is taken for one another here
WAYS: Final[dict[Way, str]] = {
    "prelu": "PRelu", "transpose": "Transpose, PRelu, Transpose", "relu": "Relu, Neg, Mul, Add",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """An input, and a slope laid over it by ONNX's rule: from the last axis on."""

    shape: tuple[int, ...]
    """Of the input."""
    slope: tuple[int, ...]
    """Of the slope; see `slope_shapes.answer_of`."""
    way: Way = field(default="prelu")
    """How it is written."""

    @property
    def pattern(self) -> str:
        """The slope's shape, `n` for a size above 1: `n,1,1`."""
        return ",".join("1" if size == 1 else "n" for size in self.slope)

    @property
    def is_as_axis_1(self) -> bool:
        """Whether a slope of one axis could be taken for the channels, and is not theirs."""
        return len(self.slope) == 1 < self.slope[0] == self.shape[1] and len(self.shape) > 2

    @property
    def input_text(self) -> str:
        """The input's axes by their letters."""
        letters = _NAMES[len(self.shape)]
        return f"{letters}, {letters[1]} = {letters[-1]}" if self.is_as_axis_1 else letters

    @property
    def slope_text(self) -> str:
        """The slope's shape by the letters of the axes that it lies along."""
        letters = _NAMES[len(self.shape)][-len(self.slope) :]
        parts = [
            "1" if size == 1 else letter for size, letter in zip(self.slope, letters, strict=True)
        ]
        return f"[{','.join(parts)}]"

    def models(self) -> Iterator[tuple[Cell, bool]]:
        """What is run for it: alone, between convolutions, and there with all sizes equal.

        Element-wise operators alone leave it open to pnnx which axis is the batch.
        """
        if self.way != "relu":
            yield self, False
        if len(self.shape) > 2:
            yield self, True
            if not self.is_as_axis_1 and not (len(self.slope) == 1 < self.slope[0]):
                slope = tuple(1 if size == 1 else _EQUAL for size in self.slope)
                yield replace(self, shape=(1, *[_EQUAL] * (len(self.shape) - 1)), slope=slope), True

    def data(self) -> tuple[Array, Array]:
        """An input with values of both signs, and slopes that are all different."""
        chance = np.random.default_rng(7)
        x = chance.normal(size=self.shape).astype(np.float32)
        slopes = np.linspace(-1, 2, max(1, int(np.prod(self.slope)))).astype(np.float32)
        return x, chance.permutation(slopes).reshape(self.slope)

    def save(self, path: Path, with_convolutions: bool) -> Path:
        """Write the model: PReLU alone, or between two convolutions of one point."""
        x, slopes = self.data()
        tensors = [numpy_helper.from_array(slopes, "slope")]
        before, after = "x", "y"
        nodes = []
        if with_convolutions:
            before, after = "before", "after"
            channels = self.shape[1]
            chance = np.random.default_rng(9)
            for name in ("w1", "w2"):
                weight = chance.normal(size=(channels, channels, *[1] * (x.ndim - 2)))
                tensors.append(numpy_helper.from_array(weight.astype(np.float32), name))
            nodes.append(helper.make_node("Conv", ["x", "w1"], ["before"], name="conv1"))
        nodes.append(helper.make_node("PRelu", [before, "slope"], [after], name="act"))
        if with_convolutions:
            nodes.append(helper.make_node("Conv", ["after", "w2"], ["y"], name="conv2"))
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes, "cell", [value("x", _FLOAT, self.shape)], [value("y", _FLOAT, self.shape)],
            tensors,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        if self.way != "prelu":
            self._rewrite(path)
        return path

    def _rewrite(self, path: Path) -> None:
        """Write the PReLU of a file as `export --target` does."""
        model = read_model(path)
        graph = model.proto.graph
        (located,) = locate_layers([GraphView(model)])
        rank = len(self.shape)
        laid = (self.slope[-1], *[1] * (rank - 2)) if self.way == "transpose" else self.slope
        nodes = write(located.matches[0], Plan(self.way, laid, rank), Tensors(graph))
        set_nodes(graph, [n for old in graph.node for n in (nodes if old.name == "act" else [old])])
        onnx.save(model.inlined(), path)


def cells() -> Iterator[Cell]:
    """All that are asked for, in the order of the table."""
    for rank, shape in _SIZES.items():
        yield Cell(shape, (1,))
        yield Cell(shape, shape[-1:])
        if rank > 2:
            square = (*shape[:-1], shape[1])
            yield Cell(square, square[-1:])
        for axes in _subsets(rank):
            full = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
            for first in range(max(1, min(rank - 1, axes[0] + 1))):
                yield Cell(shape, full[first:])
    for rank, shape in _SIZES.items():
        for axes in _subsets(rank) if rank > 2 else ():
            full = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
            if axes == (rank - 1,):
                yield Cell(shape, full, "transpose")
            if axes != (1,):
                yield Cell(shape, full[1:], "relu")


def _subsets(rank: int) -> list[Sequence[int]]:
    """The axes that slopes may differ along; of five, one or all but the batch's."""
    counts = range(1, rank) if rank < 5 else (1, rank - 1)
    return [chosen for n in counts for chosen in itertools.combinations(range(1, rank), n)]
