"""`inspect` against reading the model: wall time and peak memory, as ratios in one run.

    python benchmarks/inspect_speed.py [FOLDER]

Makes models of 5 MB, 166 MB and 1.6 GB with inline weights in FOLDER (build/bench), and runs each
of these as a process of its own, interleaved, seven times: `onnx.load(path)` in `python -c`,
`prelu-tools inspect` with `--format json` and as a table, and `polygraphy inspect model` where
polygraphy is installed. Prints medians against onnx.load's, and the peak resident memory. One run
of each goes before, so that files are cached and modules compiled, as they are once installed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MODELS = {"5 MB": (33, 0.15), "166 MB": (25, 6.64), "1.6 GB": (48, 33.3)}
REPEATS = 7


def make_model(path: Path, n_layers: int, megabytes: float) -> None:
    """A chain of convolutions with PReLU, each convolution of so many megabytes."""
    width = int((megabytes * 1e6 / 4 / 9) ** 0.5)
    generator = np.random.default_rng(0)
    nodes, tensors, last = [], [], "x"
    for i in range(n_layers):
        scale = (9 * width) ** -0.5  # so that the model can be run too
        weight = generator.normal(0.0, scale, (width, width, 3, 3)).astype(np.float32)
        slope = generator.normal(0.25, 0.2, size=(width, 1, 1)).astype(np.float32)
        tensors.append(numpy_helper.from_array(weight, f"conv{i}.weight"))
        tensors.append(numpy_helper.from_array(slope, f"prelu{i}.weight"))
        conv = helper.make_node(
            "Conv", [last, f"conv{i}.weight"], [f"c{i}"], name=f"conv{i}", pads=[1, 1, 1, 1]
        )
        nodes += [
            conv,
            helper.make_node("PRelu", [f"c{i}", f"prelu{i}.weight"], [f"p{i}"], f"prelu{i}"),
        ]
        last = f"p{i}"
    shape = ["N", width, 14, 14]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "bench", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())


def measure(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of one process."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{command} failed with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def commands(path: Path) -> dict[str, list[str]]:
    """What is run, by name; the first is what the others are compared with."""
    folder = Path(sys.executable).parent
    tool = str(folder / "prelu-tools")
    found = {
        "onnx.load": [sys.executable, "-c", f"import onnx; onnx.load({str(path)!r})"],
        "inspect json": [tool, "inspect", str(path), "--format", "json"],
        "inspect table": [tool, "inspect", str(path)],
    }
    polygraphy = shutil.which("polygraphy", path=str(folder)) or shutil.which("polygraphy")
    if polygraphy:
        found["polygraphy"] = [polygraphy, "inspect", "model", str(path)]
    return found


def main() -> None:
    """Make the models that are missing, measure, and print a Markdown table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print("| model | command | wall, onnx.load = 1 | peak memory, MB |\n|---|---|---:|---:|")
    for name, (n_layers, megabytes) in MODELS.items():
        path = folder / f"{name.replace(' ', '')}.onnx"
        if not path.exists():
            make_model(path, n_layers, megabytes)
        runs: dict[str, list[tuple[float, float]]] = {key: [] for key in commands(path)}
        for turn in range(REPEATS + 1):
            for key, command in commands(path).items():
                measured = measure(command)
                runs[key] += [measured] if turn else []
        base = statistics.median(seconds for seconds, _ in runs["onnx.load"])
        for key, values in runs.items():
            seconds = statistics.median(seconds for seconds, _ in values)
            memory = max(megabytes for _, megabytes in values)
            print(f"| {name} | {key} | {seconds / base:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
