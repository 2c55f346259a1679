"""Slopes of graphs within graphs are those that onnxruntime runs: no others are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from scoped_readings import SIZE, drawn

from prelu_tools import inspect
from prelu_tools.core.errors import PReLUToolsError

_EACH = 40


def _ran(model: onnx.ModelProto) -> list[np.ndarray] | None:
    """The slopes of each output, whatever the condition; None where onnxruntime does not run it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    below = -np.ones((1, SIZE), np.float32)
    try:
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found = [session.run(None, {"x": below, "c": np.array(c)}) for c in (True, False)]
    except Exception:  # of onnxruntime: a dozen kinds
        return None
    return [-np.asarray(values).reshape(SIZE) for outputs in found for values in outputs]


def _wrong(path: Path, model: onnx.ModelProto) -> tuple[list[str], bool]:
    """The layers whose slopes no run used; and whether some were looked at."""
    ran = _ran(model)
    path.write_bytes(model.SerializeToString())
    try:
        layers = [report.layer for report in inspect(path).layers]
    except PReLUToolsError:
        return [], False
    if ran is None:
        return [], False
    shown = {layer.name: np.broadcast_to(layer.slopes.reshape(-1), SIZE) for layer in layers}
    wrong = [
        name for name, slopes in shown.items() if not any(np.array_equal(slopes, r) for r in ran)
    ]
    return wrong, bool(shown)


@pytest.mark.parametrize("seed", [1443, 1563])
def test_a_sparse_tensor_of_a_body_is_not_the_one_outside(seed: int, tmp_path: Path) -> None:
    assert _wrong(tmp_path / "net.onnx", drawn(seed))[0] == []


@pytest.mark.parametrize("start", range(0, 4 * _EACH, _EACH))
def test_slopes_that_are_shown_are_those_of_a_run(start: int, tmp_path: Path) -> None:
    wrong, seen = {}, 0
    for seed in range(start, start + _EACH):
        found, is_seen = _wrong(tmp_path / "net.onnx", drawn(seed))
        seen += is_seen
        if found:
            wrong[seed] = found
    assert wrong == {}
    assert seen > _EACH / 4  # most of the others are in no order of assignment


def test_every_opset_is_drawn() -> None:
    opsets = {drawn(seed).opset_import[0].version for seed in range(200)}
    assert opsets == set(range(7, 27))
