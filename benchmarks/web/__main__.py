"""What each form of PReLU costs in WebAssembly, and natively: `make bench-web`.

    python -m benchmarks.web [--rounds 40] [--page docs/performance.md]

For one node and for chains of convolutions, a row a form: the median time on one thread, and the
time relative to PRelu nodes. All forms of a net run in turns. It needs node and onnxruntime-web, as
`--runtime onnxruntime-web` finds them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.pages import machine, put
from benchmarks.prelu_forms import CHAINS, build
from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.passes.lowering import fitting_forms, lower, lowerable

_FORMS = ("prelu", "relu_mul", "relu_neg", "max_min", "max", "depthwise", "linear")
Times = Mapping[str, Sequence[float]]


class _File(NamedTuple):
    name: str
    path: Path
    shape: tuple[int, ...]


def _alone(activation: str) -> OnnxModel:
    """One node on a large map."""
    shape = (1, 64, 112, 112)
    slopes = np.random.default_rng(0).uniform(0.05, 0.95, (64, 1, 1)).astype(np.float32)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    inputs = ["x", "slope"] if activation == "PRelu" else ["x"]
    node = helper.make_node(activation, inputs, ["y"], "act")
    tensors = [numpy_helper.from_array(slopes, "slope")] if len(inputs) > 1 else []
    graph = helper.make_graph([node], "alone", [x], [y], tensors)
    opsets = [helper.make_opsetid("", 17)]
    return OnnxModel(helper.make_model(graph, opset_imports=opsets, ir_version=8), None)


def _files(name: str, folder: Path) -> list[_File]:
    """A net in every form, and with ReLU in its place."""
    chain = next((chain for chain in CHAINS if chain.what == name), None)

    def net(activation: str) -> OnnxModel:
        return _alone(activation) if chain is None else build(chain, activation)

    found = []
    for form in ("Relu", *_FORMS):
        model = net("Relu" if form == "Relu" else "PRelu")
        if form not in ("Relu", "prelu"):
            layers = lowerable(model)
            if any(form not in fitting_forms(x, special=False, rounding=True) for x in layers):
                continue
            lower(model, {item.layer.name: form for item in layers})
        path = folder / f"{form}.onnx"
        proto = model.inlined()
        onnx.save(proto, path)
        dims = proto.graph.input[0].type.tensor_type.shape.dim
        found.append(_File(form, path, tuple(dim.dim_value or 1 for dim in dims)))
    return found


def _in_wasm(files: Sequence[_File], rounds: int) -> Times:
    found = installed("to time it")
    models = [[file.name, str(file.path), file.shape] for file in files]
    done = subprocess.run(
        [found.node, Path(__file__).with_name("timing.mjs"), found.package],
        input=json.dumps({"rounds": rounds, "models": models}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    times: Times = json.loads(done.stdout)
    return times


def _natively(files: Sequence[_File], rounds: int) -> Times:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    x = np.random.default_rng(0).normal(size=files[0].shape).astype(np.float32)
    sessions = {
        file.name: onnxruntime.InferenceSession(
            str(file.path), options, providers=["CPUExecutionProvider"]
        )
        for file in files
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(-2, rounds):
        for name in list(sessions) if number % 2 else list(sessions)[::-1]:
            start = time.perf_counter()
            sessions[name].run(None, {sessions[name].get_inputs()[0].name: x})
            if number >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def _table(name: str, times: Sequence[Times]) -> Iterator[str]:
    yield f"| {name} | WebAssembly, ms | relative to PRelu | native, ms | relative to PRelu |"
    yield "|---|---|---|---|---|"
    medians = [{n: statistics.median(t) for n, t in each.items()} for each in times]
    for form in medians[0]:
        cells = (f"{m[form]:.2f} | {m[form] / m['prelu']:.2f}" for m in medians)
        yield f"| {form} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table for each net; the first one goes into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--page", type=Path, help="a page whose table is to be renewed")
    given = parser.parse_args()
    words = (
        f"One thread, median of {given.rounds} interleaved rounds; onnxruntime-web "
        f"{installed('to time it').versions}; {machine()}."
    )
    print(words)
    tables = []
    for name in ("one layer, input [1, 64, 112, 112]", *(chain.what for chain in CHAINS)):
        with tempfile.TemporaryDirectory() as folder:
            files = _files(name, Path(folder))
            times = _in_wasm(files, given.rounds), _natively(files, given.rounds)
        tables.append("\n".join(_table(name, times)))
        print(f"\n{tables[-1]}", flush=True)
    if given.page is not None:
        put(given.page, "web", f"{tables[0]}\n\n{words}")


if __name__ == "__main__":
    main()
