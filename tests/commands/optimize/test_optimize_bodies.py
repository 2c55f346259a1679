"""PReLU in the bodies of If, Loop and Scan: optimize leaves them as they are, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
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
    "zero": np.float32(0),
}


def _save(path: Path, first: str) -> Path:
    body = _IF.format(then=_KERAS.format(x="t", y="u"))
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> g (float[N,4] x) => (float[N,4] y) '
        f"{{ t = {first} {body} }}"
    )
    for name, values in _VALUES.items():
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())
    return path


def _forms(path: Path) -> dict[str, str]:
    return {layer.name: layer.form for layer in read_layers(read_model(path))}


def test_bodies_stay_and_that_is_said(tmp_path: Path) -> None:
    source, output = _save(tmp_path / "net.onnx", "PRelu(x, outer)"), tmp_path / "fast.onnx"
    assert set(_forms(source).values()) == {"prelu", "relu_neg"}
    found = cli("optimize", source, "-o", output, "--no-tune", "--format", "json")
    assert found.code == 0, found.err
    document = json.loads(found.out)
    assert [layer["name"] for layer in document["layers"]] == ["outer"]
    assert "in bodies of If, Loop and Scan, and left as they are: inner, other" in " ".join(
        document["notes"]
    )
    after = _forms(output)
    assert after["inner"] == "relu_neg"
    assert after["other"] == "prelu"


def test_a_model_whose_prelu_are_all_in_bodies_is_named(tmp_path: Path) -> None:
    source = _save(tmp_path / "net.onnx", "Abs(x)")
    found = cli("optimize", source, "-o", tmp_path / "fast.onnx", "--no-tune")
    assert found.code == 3
    assert "is in the body of an If, Loop or Scan (inner, other)" in " ".join(found.err.split())
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
