"""PReLU in bodies: optimize rewrites those of If and Loop, leaves those of a Scan, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_text import parsed
from running import cli

from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import read_layers

_KERAS = "p = Relu({x}) n = Neg({x}) q = Relu(n) s = Mul(q, inner) {y} = Add(p, s)"
_IF = (
    "m = ReduceMean<keepdims = 0>(t) c = Greater(m, zero) y = If(c) <then_branch = yes () => "
    "(float[N,4] u) {{ {then} }}, else_branch = no () => (float[N,4] w) {{ w = PRelu(t, other) }}>"
)
_VALUES = {
    "outer": np.array([0.5, -0.25, 1.5, 0.0], np.float32),
    "inner": -np.array([0.125, 2.0, -0.5, 0.75], np.float32),
    "other": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
    "three": np.int64(3),
    "true": np.array(True),
    "zero": np.float32(0),
}


def _save(path: Path, first: str) -> Path:
    return _written(path, f"t = {first} " + _IF.format(then=_KERAS.format(x="t", y="u")))


def _written(path: Path, body: str) -> Path:
    proto = parsed(
        f'<ir_version: 8, opset_import: ["": 17]> g (float[N,4] x) => (float[N,4] y) {{ {body} }}',
        _VALUES,
    )
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())
    return path


def _forms(path: Path) -> dict[str, str]:
    return {layer.name: layer.form for layer in read_layers(read_model(path))}


def _outputs(path: Path) -> list[np.ndarray]:
    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": given})[0] for given in (x, np.abs(x), -np.abs(x))]


def _optimized(source: Path) -> tuple[dict[str, Any], Path]:
    output = source.with_name("fast.onnx")
    found = cli("optimize", source, "-o", output, "--force", "--no-tune", "--format", "json")
    assert found.code == 0, found.err
    after, before = _outputs(output), _outputs(source)
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
    return json.loads(found.out), output


@pytest.mark.parametrize("first", ["PRelu(x, outer)", "Abs(x)"])
def test_both_branches_are_rewritten(first: str, tmp_path: Path) -> None:
    source = _save(tmp_path / "net.onnx", first)
    before = {layer.name: layer.slopes.tolist() for layer in read_layers(read_model(source))}
    document, output = _optimized(source)
    assert {layer["name"] for layer in document["layers"]} == set(before)
    layers = read_layers(read_model(output))
    assert {layer.name: layer.slopes.tolist() for layer in layers} == before
    assert "prelu" not in {layer.form for layer in layers}


def test_a_loop_is_rewritten_and_a_scan_is_left(tmp_path: Path) -> None:
    loop = (
        "y = Loop(three, true, x) <body = turns (int64 i, bool c, float[N,4] s) => "
        "(bool d, float[N,4] u) { d = Identity(c) u = PRelu(s, outer) }>"
    )
    layers = _forms(_optimized(_written(tmp_path / "net.onnx", loop))[1])
    assert set(layers) == {"outer"}
    assert "prelu" not in layers.values()
    scan = (
        "m = PRelu(x, outer) y = Scan <num_scan_inputs = 1, body = rows (float[4] s) => "
        "(float[4] u) { u = PRelu(s, other) }> (m)"
    )
    document, output = _optimized(_written(tmp_path / "scan.onnx", scan))
    assert [layer["name"] for layer in document["layers"]] == ["outer"]
    assert "before 13: other" in " ".join(document["notes"])
    assert _forms(output)["other"] == "prelu"


def test_a_model_whose_prelu_are_all_in_a_scan_is_named(tmp_path: Path) -> None:
    scan = (
        "y = Scan <num_scan_inputs = 1, body = rows (float[4] s) => "
        "(float[4] u) { u = PRelu(s, other) }> (x)"
    )
    source = _written(tmp_path / "net.onnx", scan)
    found = cli("optimize", source, "-o", tmp_path / "fast.onnx", "--no-tune")
    assert found.code == 3
    assert "is in the body of a Scan, or of an opset before 13 (other)" in " ".join(
        found.err.split()
    )
    assert not (tmp_path / "fast.onnx").exists()


@pytest.mark.parametrize("first", ["PRelu(x, outer)", "Abs(x)"])
def test_export_and_inspect_see_the_same_layers(first: str, tmp_path: Path) -> None:
    source, output = _save(tmp_path / "net.onnx", first), tmp_path / "out.onnx"
    found = cli("export", source, "-o", output)
    assert found.code == 0, found.err
    before = {layer.name: layer for layer in read_layers(read_model(source))}
    after = {layer.name: layer for layer in read_layers(read_model(output))}
    assert set(before) == set(after)
    for name, layer in before.items():
        assert after[name].form == "prelu"
        assert np.array_equal(after[name].slopes, layer.slopes)
