"""Small models by the thousand, no two of them alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

N_LAYERS, WIDTH, SIZE = 6, 16, 12


def save_model(path: Path, seed: int) -> None:
    """A chain of convolutions with PReLU, about 60 KB."""
    generator = np.random.default_rng(seed)
    nodes, tensors, last, before = [], [], "x", 3
    for i in range(N_LAYERS):
        weight = generator.normal(0, (9 * before) ** -0.5, (WIDTH, before, 3, 3))
        slope = generator.normal(0.25, 0.2, (WIDTH, 1, 1))
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"conv{i}.weight"))
        tensors.append(numpy_helper.from_array(slope.astype(np.float32), f"act{i}.weight"))
        nodes.append(
            helper.make_node(
                "Conv", [last, f"conv{i}.weight"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1]
            )
        )
        nodes.append(helper.make_node("PRelu", [f"c{i}", f"act{i}.weight"], [f"p{i}"], f"act{i}"))
        last, before = f"p{i}", WIDTH
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", WIDTH, SIZE, SIZE])
    graph = helper.make_graph(nodes, "small", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())


def save_models(folder: Path, number: int) -> Path:
    """A folder of so many; those that are there stay."""
    target = folder / f"models-{number}"
    target.mkdir(parents=True, exist_ok=True)
    for seed in range(number):
        path = target / f"net{seed:05}.onnx"
        if not path.exists():
            save_model(path, seed)
    return target
