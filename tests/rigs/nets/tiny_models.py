"""ONNX models of a few nodes, written by hand: they need no framework and run in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT
Dims = Sequence[int | str]


def save_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Dims],
    outputs: dict[str, Dims],
    tensors: dict[str, Any],
    elem_type: int = FLOAT,
) -> Path:
    """Write a model of opset 17."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, elem_type, list(d)) for n, d in inputs.items()],
        [helper.make_tensor_value_info(n, elem_type, list(d)) for n, d in outputs.items()],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def save_prelu(
    path: Path,
    slopes: Any = (0.25, -0.5, 1.5),
    dims: Dims = ("batch", 3),
    layer: str = "act",
) -> Path:
    """One PRelu node named after its layer; slopes are float32 where nothing else is said."""
    values = np.asarray(slopes, None if isinstance(slopes, np.ndarray) else np.float32)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    node = helper.make_node("PRelu", ["x", f"{layer}.weight"], ["y"], name=layer)
    return save_graph(path, [node], {"x": dims}, {"y": dims}, {f"{layer}.weight": values}, kind)


def save_relu(path: Path, dims: Dims = ("batch", 3)) -> Path:
    """One Relu node, and no PReLU."""
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    return save_graph(path, [node], {"x": dims}, {"y": dims}, {})


def save_dense(path: Path, slopes: Any = (0.25, -0.5, 1.5), bias: float = 0.0) -> Path:
    """A dense layer of 4 to 3 features, its PRelu, and nothing else."""
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["h"], name="fc"),
        helper.make_node("PRelu", ["h", "act.weight"], ["y"], name="act"),
    ]
    tensors = {
        "fc.weight": weight,
        "fc.bias": np.full(3, bias, np.float32),
        "act.weight": np.asarray(slopes, np.float32),
    }
    return save_graph(path, nodes, {"x": ("batch", 4)}, {"y": ("batch", 3)}, tensors)


def save_convolution(path: Path, layout: str, size: int = 3) -> Path:
    """The same 3-channel 1x1 convolution and PRelu for images in either layout."""
    generator = np.random.default_rng(0)
    tensors = {
        "conv.weight": generator.normal(size=(3, 3, 1, 1)).astype(np.float32),
        "act.weight": np.array([0.25, -0.5, 1.5], np.float32).reshape(3, 1, 1),
    }
    inner = [
        helper.make_node("Conv", ["a", "conv.weight"], ["h"], name="conv"),
        helper.make_node("PRelu", ["h", "act.weight"], ["b"], name="act"),
    ]
    dims: Dims = ("batch", 3, size, size) if layout == "nchw" else ("batch", size, size, 3)
    if layout == "nchw":
        inner[0].input[0], inner[1].output[0] = "x", "y"
        nodes = inner
    else:
        nodes = [
            helper.make_node("Transpose", ["x"], ["a"], name="in", perm=[0, 3, 1, 2]),
            *inner,
            helper.make_node("Transpose", ["b"], ["y"], name="out", perm=[0, 2, 3, 1]),
        ]
    return save_graph(path, nodes, {"x": dims}, {"y": dims}, tensors)
