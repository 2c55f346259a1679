"""Long sums round by what they add: equal models pass, and what is off by a percent fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_nets import save

import prelu_tools
from prelu_tools.core.arrays import Array

T = 16000
_RNG = np.random.default_rng(5)
_W: dict[str, Any] = {
    "w": _RNG.normal(0, 0.5, (2, 3)).astype(np.float32),
    "a": np.float32([0.25, -0.5, 0.125]),
    "over": np.array([2]),
    "down": np.array([1]),
}
_HEAD = " h = MatMul(m, w) y = PRelu(h, a)"
_POOL = "p = GlobalAveragePool(x) m = Flatten(p)" + _HEAD
_MEAN = "m = ReduceMean<keepdims = 0>(x, over)" + _HEAD
_DOWN = "t = Transpose<perm = [0, 2, 1]>(x) m = ReduceMean<keepdims = 0>(t, down)" + _HEAD
ROWS = {
    "flat": np.full((2, T), 127.3),
    "silent at first": np.where(np.arange(T) < T // 2, 0.3137, _RNG.normal(size=(2, T))),
    "periodic": np.tile([0.11, 0.73, -0.37, 1.9], (2, T // 4)),
    "with an offset": 1000 + _RNG.normal(size=(2, T)),
    "noise": _RNG.normal(size=(2, T)),
}
X = np.stack([row.astype(np.float32) for row in ROWS.values()])


def _net(path: Path, body: str, **changed: Array) -> Path:
    used = {k: v for k, v in ({**_W, **changed}).items() if f"{k})" in body or f", {k}" in body}
    return save(path, body, f"float[batch,2,{T}] x", "float[batch,3] y", **used)


def _verdicts(reference: Any, *candidates: Path, x: Array = X, **options: Any) -> list[str]:
    found = prelu_tools.verify(reference, *candidates, power=False, inputs={"x": x}, **options)
    return [report.verdict for report in found.candidates]


@pytest.mark.parametrize("reference", [_POOL, _MEAN, _DOWN], ids=["pool", "mean", "down"])
def test_onnx_files_that_add_in_another_order_pass(reference: str, tmp_path: Path) -> None:
    known = _net(tmp_path / "known.onnx", reference)
    bodies = enumerate((_POOL, _MEAN, _DOWN))
    honest = [_net(tmp_path / f"{number}.onnx", body) for number, body in bodies]
    off = _net(tmp_path / "off.onnx", _DOWN, w=_W["w"] * np.float32(1.01))
    assert _verdicts(known, *honest, off) == ["pass", "pass", "pass", "fail"]


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["norm", "var"])
def test_a_torch_module_and_its_export_pass(kind: str, tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.act, self.last = nn.PReLU(2), nn.Linear(2, 3)
            with torch.no_grad():
                self.act.weight.copy_(torch.tensor([0.25, -0.5]))
                self.last.weight.copy_(factor * torch.from_numpy(_W["w"].T))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.act(x)
            return self.last(y.norm(dim=-1) if kind == "norm" else y.var(-1))

    def net(factor: float) -> Net:
        torch.manual_seed(0)
        return Net(factor).eval()

    paths = [tmp_path / "honest.onnx", tmp_path / "off.onnx"]
    for path, factor in zip(paths, (1.0, 1.01), strict=True):
        torch.onnx.export(
            net(factor), (torch.from_numpy(X),), str(path), dynamo=False, opset_version=17,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    assert _verdicts(net(1.0), *paths, input={"x": ("n", 2, T)}) == ["pass", "fail"]


@pytest.mark.keras
@pytest.mark.parametrize("length", [T, None])
def test_a_keras_model_and_its_export_pass(length: int | None, tmp_path: Path) -> None:
    import keras
    from keras import layers

    x = np.ascontiguousarray(X.transpose(0, 2, 1))
    entry = keras.Input((length, 2), name="x")
    pooled = layers.GlobalAveragePooling1D()(entry)
    dense = layers.Dense(3)
    model = keras.Model(entry, layers.PReLU()(dense(pooled)))
    model.layers[-1].set_weights([_W["a"]])
    paths = [tmp_path / "off.onnx", tmp_path / "honest.onnx"]
    for path, factor in zip(paths, (1.01, 1.0), strict=True):
        dense.set_weights([_W["w"] * np.float32(factor), np.zeros(3, np.float32)])
        prelu_tools.export(model, path, verify=False)
    assert _verdicts(model, *paths, x=x) == ["fail", "pass"]
