"""Recognition in a graph of 10,000 nodes: seconds, and as a ratio to the checker's.

    python benchmarks/recognition_speed.py

2,000 PReLU layers in Keras' five ops. What `inspect` does with the graph once it is read is held
against `onnx.checker.check_model` and `onnx.shape_inference.infer_shapes` on the same model.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.reader import OnnxModel

LAYERS = 2000
REPEATS = 5


def make_model() -> onnx.ModelProto:
    """A chain of PReLU layers as tf2onnx writes them."""
    nodes, tensors, last = [], [], "x"
    for i in range(LAYERS):
        tensors.append(
            numpy_helper.from_array(np.full((4, 1, 1), -0.1 * i - 0.01, np.float32), f"a{i}")
        )
        nodes += [
            helper.make_node("Relu", [last], [f"r{i}"]),
            helper.make_node("Neg", [last], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"m{i}"]),
            helper.make_node("Mul", [f"m{i}", f"a{i}"], [f"q{i}"]),
            helper.make_node("Add", [f"r{i}", f"q{i}"], [f"x{i}"]),
        ]
        last = f"x{i}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8, 8])
        for name in ("x", last)
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def seconds(action: Callable[[], object]) -> float:
    """The shortest of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure, and print a Markdown table."""
    model = make_model()
    found = survey(OnnxModel(model, None), explain=False, target=None)
    assert len(found.layers) == LAYERS
    actions: dict[str, Callable[[], object]] = {
        "onnx.checker.check_model": lambda: onnx.checker.check_model(model),
        "onnx.shape_inference.infer_shapes": lambda: onnx.shape_inference.infer_shapes(model),
        "recognition": lambda: survey(OnnxModel(model, None), explain=False, target=None),
        "recognition, with what was refused": lambda: survey(OnnxModel(model, None), True, None),
    }
    times = {name: seconds(action) for name, action in actions.items()}
    base = times["onnx.shape_inference.infer_shapes"]
    print(f"{len(model.graph.node):,} nodes\n\n| | seconds | infer_shapes = 1 |\n|---|---:|---:|")
    for name, value in times.items():
        print(f"| {name} | {value:.2f} | {value / base:.1f} |")


if __name__ == "__main__":
    main()
