"""One PReLU node between two convolutions: alone it leaves open to pnnx which axis is the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper
from tiny_models import save_graph


def save_between_convolutions(
    path: Path,
    shape: list[int],
    slope: tuple[int, ...],
    batch: int | str = "batch",
    seed: int = 61,
) -> Path:
    """Write it.

    Args:
        path: the file.
        shape: of the PReLU's input, without the batch: channels first.
        slope: of the slopes, which are all different.
        batch: the size of the batch, or its name.
        seed: of the slopes.
    """
    chance = np.random.default_rng(6)
    kernel = [1] * (len(shape) - 1)
    tensors = {
        "w1": chance.normal(size=(shape[0], 3, *kernel)).astype(np.float32),
        "act.weight": np.random.default_rng(seed).normal(size=slope).astype(np.float32),
        "w2": chance.normal(size=(2, shape[0], *kernel)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c"]),
        helper.make_node("PRelu", ["c", "act.weight"], ["p"], name="act"),
        helper.make_node("Conv", ["p", "w2"], ["y"]),
    ]
    x, y = [batch, 3, *shape[1:]], [batch, 2, *shape[1:]]
    return save_graph(path, nodes, {"x": x}, {"y": y}, tensors)
