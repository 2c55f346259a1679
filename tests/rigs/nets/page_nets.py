"""Nets for the page of docs/web, and what may be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tiny_models import save_graph


def save_net(path: Path, batch: int | str = "batch") -> Path:
    """Slopes of each sharing, a layer that is used twice, and an index beside the values."""
    chance = np.random.default_rng(5)

    def normal(*shape: int) -> Any:
        return chance.normal(size=shape).astype(np.float32) / 2

    tensors = {
        "w1": normal(4, 3, 3, 3), "act1.weight": normal(4, 1, 1) * 2,
        "w2": normal(4, 4, 1, 1), "act2.weight": normal(1) * 2,
        "map.weight": normal(4, 5, 6) * 2,
        "w3": normal(4, 5), "b3": normal(5), "act3.weight": normal(5) * 2,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"]),
        helper.make_node("PRelu", ["c1", "act1.weight"], ["p1"], name="act1"),
        helper.make_node("Conv", ["p1", "w2"], ["c2"]),
        helper.make_node("PRelu", ["c2", "act2.weight"], ["p2"], name="act2"),
        helper.make_node("Neg", ["p2"], ["n2"]),
        helper.make_node("PRelu", ["n2", "act2.weight"], ["p3"], name="act2_1"),
        helper.make_node("PRelu", ["p3", "map.weight"], ["p4"], name="map"),
        helper.make_node("GlobalAveragePool", ["p4"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["d"]),
        helper.make_node("PRelu", ["d", "act3.weight"], ["y"], name="act3"),
        helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=0),
    ]
    save_graph(path, nodes, {"x": [batch, 3, 7, 8]}, {"y": [batch, 5]}, tensors)
    model = onnx.load(path)
    best = helper.make_tensor_value_info("best", onnx.TensorProto.INT64, [batch])
    model.graph.output.append(best)
    for node in model.graph.node:
        if node.name.startswith("act2"):
            node.metadata_props.add(key="prelu_tools.layer", value="act2")
            node.metadata_props.add(key="prelu_tools.parameter", value="act2.weight")
    onnx.save(model, path)
    return path


def set_tensor(model: onnx.ModelProto, name: str, values: Any) -> None:
    """Put other values into an initializer."""
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, np.float32), name))


def tensor_of(model: onnx.ModelProto, name: str) -> Any:
    """A copy of an initializer's values."""
    return numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == name)).copy()


def exchange(model: onnx.ModelProto, name: str = "act1.weight") -> None:
    """Exchange the first two slopes of a layer."""
    values = tensor_of(model, name)
    values.reshape(-1)[:2] = values.reshape(-1)[1::-1].copy()
    set_tensor(model, name, values)


def negate(model: onnx.ModelProto, name: str = "map.weight") -> None:
    """Turn the sign of every slope of a layer."""
    set_tensor(model, name, -tensor_of(model, name))


def one_channel(model: onnx.ModelProto, name: str = "act3.weight", by: float = 0.125) -> None:
    """Change one slope of a layer."""
    values = tensor_of(model, name)
    values.reshape(-1)[1] += by
    set_tensor(model, name, values)
