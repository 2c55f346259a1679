"""The cost of onnxruntime's PRelu kernel against Relu's, as a ratio in one run.

    python benchmarks/prelu_kernel.py

Prints medians over interleaved runs on one thread, for inputs of both signs and positive ones.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 64, 112, 112)
REPEATS = 60


def session(operator: str) -> onnxruntime.InferenceSession:
    """A model of one node on one thread."""
    slopes = np.linspace(-0.5, 1.2, SHAPE[1], dtype=np.float32).reshape(-1, 1, 1)
    inputs = ["x", "a"] if operator == "PRelu" else ["x"]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    node = helper.make_node(operator, inputs, ["y"])
    graph = helper.make_graph([node], operator, [x], [y], [numpy_helper.from_array(slopes, "a")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def main() -> None:
    """Print a row for each kind of input."""
    sessions = {name: session(name) for name in ("Relu", "PRelu")}
    mixed = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    print(f"onnxruntime {onnxruntime.__version__}, 1 thread, {SHAPE}")
    for label, x in (("both signs", mixed), ("positive", np.abs(mixed))):
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(REPEATS):
            for name, runner in sessions.items():
                start = time.perf_counter()
                runner.run(None, {"x": x})
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values[5:]) for name, values in seconds.items()}
        print(f"{label:<12} PRelu / Relu = {medians['PRelu'] / medians['Relu']:.1f}")


if __name__ == "__main__":
    main()
