"""What `inspect` shows of a graph is what onnxruntime runs, or the graph is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_readings import SIZE, drawn

from prelu_tools import inspect
from prelu_tools.core.errors import PReLUToolsError

_EACH = 60


def _run(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """What onnxruntime makes of ones and of minus ones; None where it does not run the model."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    ones = np.ones((1, SIZE), np.float32)
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        above, below = (session.run(None, {"x": x})[0] for x in (ones, -ones))
    except Exception:  # of onnxruntime: a dozen kinds
        return None
    return np.asarray(above), np.asarray(below)


@pytest.mark.parametrize("start", range(0, 7 * _EACH, _EACH))
def test_slopes_are_those_that_run(start: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    wrong = []
    for seed in range(start, start + _EACH):
        path.write_bytes(drawn(seed).SerializeToString())
        said = _judged(path)
        wrong += [f"{seed}: {said}"] if said else []
    assert wrong == []


def _judged(path: Path) -> str:
    ran = _run(path)
    try:
        found = inspect(path)
    except PReLUToolsError:
        return ""
    if ran is None:
        return ""
    above, below = ran
    if (above == -below).all() and (above < 0).all():
        return f"Neg is a PReLU: {found}" if found.layers else ""
    if not found.layers:
        return "" if _may_be_unknown(onnx.load(path)) else f"no PReLU, and it runs {-below.ravel()}"
    shown = [np.broadcast_to(layer.layer.slopes, below.shape) for layer in found.layers]
    if any(np.array_equal(slopes, -below, equal_nan=True) for slopes in shown):
        return ""
    return f"shown {shown}, and it runs {-below.ravel()}"


def _may_be_unknown(proto: onnx.ModelProto) -> bool:
    """Whether slopes come from what `inspect` does not look through, and may miss."""
    opaque = ("Loop", "Scan", "If", "Cast", "DequantizeLinear")
    return any(node.op_type in opaque for node in proto.graph.node)
