"""Recognition in large graphs: CPU time over reading the file, growth, and memory.

    python benchmarks/recognition_speed.py [FOLDER]

Makes graphs of 10,000 and 100,000 nodes (2,000 and 20,000 PReLU layers in Keras' five ops) and
chains of 400 and 4,000 Adds in FOLDER (build/bench). `inspect` and `onnx.load` of each run in
processes of their own, in turns; printed are the medians of their CPU times (user and
system), which other load on the machine changes little, and the peak resident memory. What
recognising alone takes, without reading the file and writing the report, stands in between.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

REPEATS = 3
_RECOGNISING = """
import sys, time
from pathlib import Path
from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.reader import read_model
model, start = read_model(Path(sys.argv[1])), time.process_time()
survey(model, explain=False, target=None)
print(time.process_time() - start)
"""


def keras_chain(layers: int) -> onnx.ModelProto:
    """A chain of PReLU layers as tf2onnx writes them: five nodes each."""
    nodes, tensors, last = [], [], "x"
    for i in range(layers):
        slope = np.full((4, 1, 1), -0.1 * (i % 2000) - 0.01, np.float32)
        tensors.append(numpy_helper.from_array(slope, f"a{i}"))
        nodes += [
            helper.make_node("Relu", [last], [f"r{i}"]),
            helper.make_node("Neg", [last], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"m{i}"]),
            helper.make_node("Mul", [f"m{i}", f"a{i}"], [f"q{i}"]),
            helper.make_node("Add", [f"r{i}", f"q{i}"], [f"x{i}"]),
        ]
        last = f"x{i}"
    return _model(nodes, tensors, last)


def adds(count: int) -> onnx.ModelProto:
    """A chain of sums, each with the graph's own input: one region as long as the graph."""
    nodes, last = [], "x"
    for i in range(count):
        nodes.append(helper.make_node("Add", [last, "x"], [f"s{i}"]))
        last = f"s{i}"
    return _model(nodes, [], last)


def _model(
    nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto], last: str
) -> onnx.ModelProto:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8, 8])
        for name in ("x", last)
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def measure(command: list[str]) -> tuple[float, float]:
    """Processor seconds and peak resident megabytes of one process."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{command} failed with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def recognising(path: Path) -> float:
    """Processor seconds of recognising alone, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _RECOGNISING, str(path)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    """Make the graphs that are missing, measure, and print a Markdown table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    tool = str(Path(sys.executable).parent / "prelu-tools")
    print("| graph | onnx.load, s | recognising | inspect | MB: onnx.load | inspect |")
    print("|---|---:|---:|---:|---:|---:|")
    for make, count in ((keras_chain, 2000), (keras_chain, 20_000), (adds, 400), (adds, 4000)):
        path = folder / f"{make.__name__}-{count}.onnx"
        if not path.exists():
            onnx.save(make(count), path)
        load = [sys.executable, "-c", f"import onnx; onnx.load({str(path)!r})"]
        inspect = [tool, "inspect", str(path), "--format", "json"]
        runs = [(measure(load), measure(inspect)) for _ in range(REPEATS)]
        base, ours = (statistics.median(pair[i][0] for pair in runs) for i in (0, 1))
        seen = statistics.median(recognising(path) for _ in range(REPEATS))
        memory = [max(pair[i][1] for pair in runs) for i in (0, 1)]
        print(
            f"| {make.__name__}({count:,}) | {base:.2f} | {seen:.2f} | {ours:.2f} "
            f"| {memory[0]:.0f} | {memory[1]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
