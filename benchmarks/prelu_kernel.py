"""The cost of onnxruntime's PRelu kernel against Relu's, as a ratio in one run.

    python -m benchmarks.prelu_kernel [--page docs/performance.md]

Medians over interleaved runs on one thread, for inputs of both signs and positive ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.pages import machine, put

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
    """Print a sentence, and put it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="a page whose sentence is to be renewed")
    page = parser.parse_args().page
    sessions = {name: session(name) for name in ("Relu", "PRelu")}
    mixed = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    ratios = []
    for x in (mixed, np.abs(mixed)):
        seconds: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(REPEATS):
            for name, runner in sessions.items():
                start = time.perf_counter()
                runner.run(None, {"x": x})
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(values[5:]) for name, values in seconds.items()}
        ratios.append(medians["PRelu"] / medians["Relu"])
    words = (
        f"On white noise of shape {list(SHAPE)}, PRelu takes {ratios[0]:.0f} times as long as "
        f"Relu; on its absolute values, {ratios[1]:.1f} times ({machine()}, one thread; "
        "`python -m benchmarks.prelu_kernel`)."
    )
    print(words)
    if page is not None:
        put(page, "kernel", words)


if __name__ == "__main__":
    main()
