"""What `export` puts in place: one file or two, in the opset that was asked, with its origin."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from running import Outcome, cli

pytestmark = pytest.mark.torch

_NETS = '''
import warnings

import torch
from torch import nn


class Net(nn.Module):
    """Its second convolution has more than a page of weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.PReLU(16), nn.Conv2d(16, 32, 3), nn.PReLU()
        )

    def example_inputs(self):
        return torch.zeros(2, 3, 8, 8)

    def forward(self, x):
        return self.body(x)


class Warns(Net):
    def forward(self, x):
        warnings.warn("this might cause the trace to be incorrect")
        warnings.warn("this is nothing")
        return super().forward(x)
'''


def _export(source: object, output: Path, *more: object) -> Outcome:
    return cli("export", source, "-o", output, *more)


def _entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _metadata(path: Path) -> dict[str, str]:
    proto = onnx.load(path, load_external_data=False)
    return {entry.key: entry.value for entry in proto.metadata_props}


def test_a_torch_model_and_its_data_come_and_go_together(nets: Path, tmp_path: Path) -> None:
    """Two files; then the same again; then one file, and nothing of the two is left."""
    target = tmp_path / "net.onnx"
    found = _export(f"{nets}:Net", target, "--external-data", "always", "--format", "json")
    assert found.code == 0, found.err
    model = found.json["model"]
    data = Path(model["data_path"])
    assert _entries(tmp_path) == ["net.onnx", data.name]
    assert model["data_bytes"] == data.stat().st_size
    assert model["bytes"] == target.stat().st_size < data.stat().st_size
    assert found.json["verification"]["verdict"] == "pass"
    first = target.read_bytes(), data.read_bytes()

    refused = _export(f"{nets}:Net", target, "--external-data", "always")
    assert (refused.code, first) == (2, (target.read_bytes(), data.read_bytes()))
    assert "net.onnx already exists: use --force" in refused.words

    more = ("--force", "--no-verify")
    again = _export(f"{nets}:Net", target, "--external-data", "always", *more)
    assert again.code == 0, again.err
    assert "weights in" in again.out
    assert (target.read_bytes(), data.read_bytes()) == first

    one = _export(f"{nets}:Net", target, "--external-data", "never", *more)
    assert one.code == 0, one.err
    assert _entries(tmp_path) == ["net.onnx"]
    x = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    whole = ort.InferenceSession(target).run(None, {"x": x})[0]
    target.with_name("two.onnx").write_bytes(first[0])
    data.write_bytes(first[1])
    (two,) = ort.InferenceSession(tmp_path / "two.onnx").run(None, {"x": x})
    assert np.array_equal(whole, two)


def test_a_torch_model_says_where_it_comes_from(nets: Path, tmp_path: Path) -> None:
    import torch

    net: dict[str, Any] = {}
    exec(nets.read_text(), net)
    weights = tmp_path / "weights.pt"
    torch.save(net["Net"]().state_dict(), weights)
    found = _export(f"{nets}:Net@{weights}", tmp_path / "net.onnx", "-q", "--no-verify")
    assert found.code == 0, found.err
    said = _metadata(tmp_path / "net.onnx")
    assert said["prelu_tools.source"] == "nets_of_test_export_torch_result.py:Net@weights.pt"
    assert said["prelu_tools.source_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert said["prelu_tools.framework"] == f"torch {torch.__version__}"
    assert said["prelu_tools.onnx"] == onnx.__version__
    assert "torch" in said["prelu_tools.route"]
    assert not any(str(tmp_path) in text or str(nets.parent) in text for text in said.values())
    graph = onnx.load(tmp_path / "net.onnx").graph
    notes = [
        {entry.key.removeprefix("prelu_tools."): entry.value for entry in node.metadata_props}
        for node in graph.node
        if node.op_type == "PRelu"
    ]
    assert [(n["layer"], n["parameter"], n["sharing"]) for n in notes] == [
        ("body.1", "body.1.weight", "channel-wise"),
        ("body.3", "body.3.weight", "channel-shared"),
    ]


def test_torch_in_the_newest_opset_that_onnxruntime_loads(nets: Path, tmp_path: Path) -> None:
    refused = _export(f"{nets}:Net", tmp_path / "net.onnx", "--opset", "99")
    assert refused.code == 2
    newest = refused.err.partition(" to ")[2].split(",")[0]
    found = _export(f"{nets}:Net", tmp_path / "net.onnx", "--opset", newest, "--format", "json")
    assert found.code == 0, found.err
    assert found.json["model"]["opset"] == int(newest) > 20
    assert found.json["verification"]["verdict"] == "pass"
    nodes = onnx.load(tmp_path / "net.onnx").graph.node
    assert [n.name for n in nodes if n.op_type == "PRelu"] == ["body.1", "body.3"]


def test_a_torch_warning_that_matters_is_a_note(nets: Path, tmp_path: Path) -> None:
    found = _export(f"{nets}:Warns", tmp_path / "net.onnx", "--no-verify")
    assert found.code == 0
    assert "torch warns: this might cause the trace to be incorrect" in found.words
    assert "nothing" not in found.words
    assert found.err == ""
