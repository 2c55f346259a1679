"""What each form of PReLU costs in a chain of convolutions, against ReLU there.

    python -m benchmarks.prelu_forms [--seconds 4] [--kernels FORM]

For each chain a row a form: the time against PRelu nodes, and which share of PReLU's extra cost
over ReLU is left; all in one run, in turns, on one thread. `--kernels` prints what onnxruntime runs
for one form and how long each kernel takes, from its profile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.backends.onnxruntime.running.racing import open_run, race
from prelu_tools.core.inputs import Wanted, pictures
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.passes.lowering import fitting_forms, lower, lowerable


class Chain(NamedTuple):
    """Convolutions with PReLU between them."""

    what: str
    channels: int
    size: tuple[int, int]
    layers: int
    kernel: int
    inputs: int


CHAINS = (
    Chain("64 channels, blocked", 64, (112, 112), 3, 1, 64),
    Chain("128 channels, small", 128, (14, 14), 4, 1, 128),
    Chain("10 channels, odd", 10, (238, 318), 1, 3, 3),
    Chain("12 channels after 12, plain", 12, (180, 320), 3, 3, 12),
)


def build(chain: Chain, activation: str) -> OnnxModel:
    """A chain with PRelu or Relu; slopes as a trained net has them, none above 1."""
    generator = np.random.default_rng(0)
    nodes, tensors, x, n_inputs = [], [], "x", chain.inputs
    for i in range(chain.layers):
        kernel = (chain.channels, n_inputs, chain.kernel, chain.kernel)
        weight = generator.normal(size=kernel) / np.sqrt(np.prod(kernel[1:]) / 2)
        slopes = generator.normal(0.2, 0.3, (chain.channels, 1, 1)).clip(-0.9, 0.99)
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"w{i}"))
        pads = [chain.kernel // 2] * 4
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], f"conv{i}", pads=pads))
        extra = []
        if activation == "PRelu":
            tensors.append(numpy_helper.from_array(slopes.astype(np.float32), f"act{i}"))
            extra = [f"act{i}"]
        nodes.append(helper.make_node(activation, [f"c{i}", *extra], [f"p{i}"], f"act{i}"))
        x, n_inputs = f"p{i}", chain.channels
    last = generator.normal(size=(8, chain.channels, 1, 1)).astype(np.float32)
    tensors.append(numpy_helper.from_array(last, "last"))
    nodes.append(helper.make_node("Conv", [x, "last"], ["y"], "last"))
    value = helper.make_tensor_value_info
    ends = (
        [value("x", TensorProto.FLOAT, [1, chain.inputs, *chain.size])],
        [value("y", TensorProto.FLOAT, [1, 8, *chain.size])],
    )
    graph = helper.make_graph(nodes, "chain", *ends, tensors)
    opset = [helper.make_opsetid("", 18)]
    return OnnxModel(helper.make_model(graph, opset_imports=opset, ir_version=10), None)


def written(chain: Chain, form: str) -> OnnxModel:
    """A chain with every PReLU in this form."""
    model = build(chain, "PRelu")
    lower(model, {item.layer.name: form for item in lowerable(model)})
    return model


def compare(chain: Chain, seconds: float) -> None:
    """Print the forms of one chain, the fastest first."""
    forms = list(fitting_forms(lowerable(build(chain, "PRelu"))[0], special=False, rounding=False))
    models = {"ReLU (bound)": build(chain, "Relu")} | {form: written(chain, form) for form in forms}
    feeds = pictures({"x": Wanted("float32", (chain.inputs, *chain.size))}, 1, seed=0)
    runs = {name: open_run(model, 1, name) for name, model in models.items()}
    same = [name for name, run in runs.items() if _equal(run(feeds), runs["prelu"](feeds))]
    times = race(runs, feeds, seconds, range(10, 2000), seed=0)
    medians = {name: statistics.median(values) for name, values in times.items()}
    least, most = medians["ReLU (bound)"], medians["prelu"]
    print(f"\n{chain.what}: {chain.layers} x {[chain.channels, *chain.size]}")
    print(f"{'form':<14}{'of PRelu':>10}{'extra left':>12}  bits")
    for name, value in sorted(medians.items(), key=lambda pair: pair[1]):
        bits = "" if name.startswith("ReLU") else ("equal" if name in same else "other")
        print(f"{name:<14}{value / most:>10.2f}{(value - least) / (most - least):>11.0%}   {bits}")


def _equal(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def kernels(chain: Chain, form: str) -> None:
    """Print what onnxruntime runs for one chain, with the median time of each kernel."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            written(chain, form).proto.SerializeToString(), options, ["CPUExecutionProvider"]
        )
        feeds = pictures({"x": Wanted("float32", (chain.inputs, *chain.size))}, 1, seed=0)
        for _ in range(30):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["name"].removesuffix("_kernel_time"), event["args"]["op_name"])
            spent.setdefault(key, []).append(event["dur"])
    print(f"\n{chain.what}, {form}")
    for (name, kind), values in spent.items():
        print(f"{statistics.median(values):>8.0f} us  {kind:<14} {name}")


def main() -> None:
    """Run every chain."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--kernels", metavar="FORM")
    given = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}, 1 thread")
    for chain in CHAINS:
        if given.kernels:
            kernels(chain, given.kernels)
        else:
            compare(chain, given.seconds)


if __name__ == "__main__":
    main()
