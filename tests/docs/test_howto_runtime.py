"""The toy runtime of the page is a whole backend: it is read, run, passed and failed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from running import ROOT, cli
from tiny_models import save_graph

from prelu_tools.backends import registry

_SLOPES = [0.25, -0.5, 1.5]
_BIAS = [0.5, -0.5, 0.25]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a toy model and its reference; the backend of the page has its row."""
    page = (ROOT / "docs/howto/runtime.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) < 80
    (tmp_path / "toy_backend.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    row = registry.Row("toy", "toy_backend", (".toy",), None, ("numpy",), ("inputs",))
    for name in ("ROWS", "TO_RUN", "TO_INSPECT"):
        monkeypatch.setattr(registry, name, (*vars(registry)[name], row))
    nodes = [
        helper.make_node("Add", ["x", "bias"], ["sum"]),
        helper.make_node("PRelu", ["sum", "act.weight"], ["y"], name="act"),
    ]
    tensors = {"bias": np.float32(_BIAS), "act.weight": np.float32(_SLOPES)}
    shape: list[int | str] = ["batch", 3]
    save_graph(tmp_path / "net.onnx", nodes, {"x": shape}, {"y": shape}, tensors)
    return tmp_path


def _save(path: Path, slopes: list[float]) -> Path:
    layers = [
        {"kind": "bias", "name": "shift", "values": _BIAS},
        {"kind": "prelu", "name": "act", "values": slopes},
    ]
    path.write_text(json.dumps({"size": 3, "layers": layers}), encoding="utf-8")
    return path


def test_a_right_file_passes(toy: Path) -> None:
    found = cli("verify", toy / "net.onnx", _save(toy / "net.toy", _SLOPES), "--format", "json")
    assert found.code == 0, found.words
    (candidate,) = found.json["candidates"]
    assert candidate["provider"]["requested"] == "toy"
    assert [layer["slopes_equal"] for layer in candidate["layers"]] == [True]


def test_exchanged_slopes_fail_and_are_named(toy: Path) -> None:
    wrong = _save(toy / "net.toy", [_SLOPES[1], _SLOPES[0], _SLOPES[2]])
    found = cli("verify", toy / "net.onnx", wrong)
    assert found.code == 1
    assert "channels 0 and 1 swapped" in found.words


def test_it_is_inspected(toy: Path) -> None:
    path = _save(toy / "net.toy", _SLOPES)
    assert cli("inspect", path, "--expect-layers", "1").code == 0
