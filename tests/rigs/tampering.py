"""Spoil an exported model in one place, as a careless tool would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Change = Callable[[onnx.ModelProto], Any]


def changed(path: Path, target: Path, change: Change) -> Path:
    """A copy of a model with a change made to it."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, target)
    return target


def prelu(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """The PRelu node of this name."""
    (node,) = (n for n in model.graph.node if n.op_type == "PRelu" and n.name == name)
    return node


def tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The initializer of this name."""
    (found,) = (t for t in model.graph.initializer if t.name == name)
    return found


def slopes(model: onnx.ModelProto, layer: str) -> Any:
    """The slopes of a PRelu node, as they are stored."""
    return numpy_helper.to_array(tensor(model, prelu(model, layer).input[1]))


def set_values(model: onnx.ModelProto, name: str, values: Any) -> None:
    """Give an initializer other values."""
    array = np.ascontiguousarray(values)
    tensor(model, name).CopyFrom(numpy_helper.from_array(array, name))


def set_slopes(layer: str, edit: Callable[[Any], Any]) -> Change:
    """Put edited slopes, flat, in the place of a layer's own."""

    def change(model: onnx.ModelProto) -> None:
        old = slopes(model, layer)
        new = np.asarray(edit(old.reshape(-1).copy()), old.dtype).reshape(old.shape)
        set_values(model, prelu(model, layer).input[1], new)

    return change


def two_that_differ(values: Any) -> tuple[int, int]:
    """The positions of the first slope and of the first other one that is not equal to it."""
    flat = values.reshape(-1)
    return 0, int(np.flatnonzero(flat != flat[0])[0])


def swap(first: int, second: int) -> Callable[[Any], Any]:
    """Exchange two slopes."""

    def edit(values: Any) -> Any:
        values[[first, second]] = values[[second, first]]
        return values

    return edit


def exchange(left: str, right: str) -> Change:
    """Give two layers each other's slopes; they have as many."""

    def change(model: onnx.ModelProto) -> None:
        a, b = slopes(model, left), slopes(model, right)
        set_values(model, prelu(model, left).input[1], b.reshape(a.shape))
        set_values(model, prelu(model, right).input[1], a.reshape(b.shape))

    return change


def remove_prelu(name: str) -> Change:
    """Take a PRelu node out: what it read goes on to what it fed."""

    def change(model: onnx.ModelProto) -> None:
        node = prelu(model, name)
        for other in model.graph.node:
            for position, read in enumerate(other.input):
                if read == node.output[0]:
                    other.input[position] = node.input[0]
        model.graph.node.remove(node)

    return change


def _append(model: onnx.ModelProto, operator: str, value: float, name: str, output: int) -> None:
    """Put an operator with a constant between an output and the node that makes it."""
    result = model.graph.output[output].name
    for node in model.graph.node:
        for position, made in enumerate(node.output):
            if made == result:
                node.output[position] = f"{result}/before"
    model.graph.initializer.append(
        numpy_helper.from_array(np.array([value], np.float32), f"{name}.slope")
    )
    model.graph.node.append(
        helper.make_node(operator, [f"{result}/before", f"{name}.slope"], [result], name=name)
    )


def add_prelu(name: str, slope: float = 1.0) -> Change:
    """Put a PRelu before the first output."""
    return lambda model: _append(model, "PRelu", slope, name, 0)


def multiply(value: float, output: int = 0) -> Change:
    """Multiply an output."""
    return lambda model: _append(model, "Mul", value, "spoilt", output)


def drop_output(model: onnx.ModelProto) -> None:
    """Take the last output away."""
    del model.graph.output[-1]


def scale_weight(position: int, factor: float) -> Change:
    """Multiply the kernel of a Conv, Gemm or MatMul, counted from 0."""

    def change(model: onnx.ModelProto) -> None:
        nodes = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
        name = nodes[position].input[1]
        values = numpy_helper.to_array(tensor(model, name))
        set_values(model, name, values * np.float32(factor))

    return change
