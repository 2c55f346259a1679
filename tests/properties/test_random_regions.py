"""`inspect` says of 200 random regions what onnxruntime computes of them."""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from random_regions import CHANNELS, SIZE, Array, write

from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.recognise import find_prelus
from prelu_tools.graph.view import GraphView

REGIONS = int(os.environ.get("PRELU_REGIONS", 200))


def _inputs() -> Array:
    """Both signs, and magnitudes from subnormal to large, at every position."""
    random = np.random.default_rng(0)
    sizes = np.array([1e-42, 1e-30, 1e-4, 0.01, 0.3, 1.0, 5.0, 1e3, 1e10, 1e30], np.float32)
    shape = (len(sizes), CHANNELS, SIZE, SIZE)
    drawn = sizes.reshape(-1, 1, 1, 1) * random.uniform(0.5, 1, shape)
    return np.concatenate([drawn, -drawn, np.zeros((1, *shape[1:]))]).astype(np.float32)


def _values(proto: onnx.ModelProto, *tensors: str) -> list[Array]:
    """What onnxruntime computes for these tensors, operator by operator."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    names = [name for name in tensors if name != "x"]
    for name in names:
        copy.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(copy.SerializeToString(), options)
    x = _inputs()
    made = dict(zip(names, session.run(names, {"x": x, "z": x[::-1].copy()}), strict=True))
    return [x if name == "x" else made[name] for name in tensors]


def _is_prelu(x: Array, y: Array, slopes: Array) -> bool:
    """PReLU up to the rounding of a few operators."""
    wanted = np.where(x > 0, x, x * slopes)
    return bool((np.abs(y - wanted) <= 1e-6 * np.abs(x) + 1e-44).all())


@pytest.mark.parametrize("seed", range(REGIONS))
def test_what_is_found_is_what_onnxruntime_computes(seed: int) -> None:
    written = write(seed)
    onnx.checker.check_model(written.proto, full_check=True)
    found = list(find_prelus(GraphView(OnnxModel(written.proto, None))))
    for match in found:
        assert match.order is None
        x, y = _values(written.proto, match.x, match.node.output[0])
        assert _is_prelu(x, y, match.slopes), match.form
    x, y = _values(written.proto, written.before, written.output)
    if written.slopes is None:
        assert not [m for m in found if m.x == written.before and m.node.output[0] == "y"]
        return
    assert _is_prelu(x, y, written.slopes)
    (match,) = found
    assert np.allclose(match.slopes, written.slopes, rtol=1e-6)
    assert match.slopes.size == written.slopes.size
