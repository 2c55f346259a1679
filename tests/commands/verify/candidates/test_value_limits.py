"""Each value has a limit of its own, and the moved runs of the reference say what it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import Outcome
from text_nets import candidate, save, verify

from prelu_tools.core.arrays import Array

_RANDOM = np.random.default_rng(7)
_W = {
    "w": _RANDOM.normal(0, 0.4, (6, 16)).astype(np.float32),
    "a": _RANDOM.uniform(-0.2, 0.4, 16).astype(np.float32),
    "v": _RANDOM.normal(0, 0.3, (16, 5)).astype(np.float32),
    "b": _RANDOM.normal(0, 0.3, 5).astype(np.float32),
}
_TRUNK = "h = MatMul(x, w) p = PRelu(h, a) s = MatMul(p, v) o = Add(s, b) "


def _save(path: Path, body: str, kind: str = "float", **changed: Array) -> Path:
    """The net of these nodes, on rows of 6 numbers, with its constants or others."""
    used = {name: values for name, values in {**_W, **changed}.items() if f"{name})" in body
            or f"{name}," in body or f", {name}" in body}  # fmt: skip
    columns = "batch" if "ArgMax" in body else "batch,c"
    return save(path, body, "float[batch,6] x", f"{kind}[{columns}] y", **used)


def _verify(folder: Path, body: str, changed: Mapping[str, Array], *more: str) -> Outcome:
    """Verify a net against itself with other constants."""
    left = _save(folder / "left.onnx", body)
    right = _save(folder / "right.onnx", body, **changed)
    return verify(left, right, *more)


def _at(name: str, place: Any, amount: float) -> dict[str, Array]:
    values = _W[name].copy()
    values[place] += np.float32(amount)
    return {name: values}


def test_a_model_is_like_itself_and_says_how_near(tmp_path: Path) -> None:
    found = _verify(tmp_path, f"{_TRUNK} y = Identity(o)", {})
    assert found.code == 0
    report = candidate(found)
    assert report["tolerance"]["origin"] == "sensitivity"
    (output,) = report["outputs"]
    assert (output["worst_of_rounding"], output["n_border"], output["remark"]) == (0.0, 0, None)
    assert output["n_values"] >= 5 * 16
    assert found.json["notes"] == []


def test_a_small_bias_fails_between_two_files(tmp_path: Path) -> None:
    found = _verify(tmp_path, f"{_TRUNK} y = Identity(o)", _at("b", 3, 5e-4))
    assert found.code == 1
    (output,) = candidate(found)["outputs"]
    assert output["verdict"] == "fail"
    assert output["worst_of_rounding"] > 100
    assert "x the model's own rounding error" in output["difference"]


def test_one_weight_that_is_off_by_two_units_passes(tmp_path: Path) -> None:
    place = (2, 3)
    amount = 2 * float(np.spacing(abs(_W["v"][place])))
    found = _verify(tmp_path, f"{_TRUNK} y = Identity(o)", _at("v", place, amount))
    assert found.code == 0
    assert 0 < candidate(found)["outputs"][0]["worst_of_rounding"] < 16


def test_small_values_beside_large_ones_have_small_limits(tmp_path: Path) -> None:
    body = f"{_TRUNK} e = Exp(o) big = Mul(e, e) s2 = Sigmoid(o) y = Concat<axis=1>(big, s2)"
    assert _verify(tmp_path, body, {}).code == 0
    right = f"{_TRUNK} e = Exp(o) big = Mul(e, e) z = Sub(o, o) s2 = Sigmoid(z) "
    right += "y = Concat<axis=1>(big, s2)"
    found = verify(_save(tmp_path / "l.onnx", body), _save(tmp_path / "r.onnx", right))
    assert found.code == 1


def test_values_that_overflow_alike_are_equal(tmp_path: Path) -> None:
    body = f"{_TRUNK} k = Mul(o, o) l = Mul(k, k) y = Exp(l)"
    found = _verify(tmp_path, body, {})
    assert found.code == 0, found.json["reasons"]


def test_ties_of_a_constant_row_are_a_border(tmp_path: Path) -> None:
    """Another order of equal values is no other model; another choice of unequal ones is."""
    body = f"{_TRUNK} q = Sub(o, o) z = Mul(q, b) y = ArgMax<axis=1, keepdims=0>(OF)"
    tied = body.replace("OF", "z")
    left = _save(tmp_path / "l.onnx", tied, "int64")
    last = tied.replace("keepdims=0>", "keepdims=0, select_last_index=1>")
    found = verify(left, _save(tmp_path / "r.onnx", last, "int64"))
    (output,) = candidate(found)["outputs"]
    assert output["verdict"] != "pass" or output["n_border"] > 0
    plain = body.replace("OF", "o")
    clear = _save(tmp_path / "p.onnx", plain, "int64")
    other = _save(tmp_path / "q.onnx", plain, "int64", **_at("b", 1, 0.5))
    assert verify(clear, clear).code == 0
    assert verify(clear, other).code == 1


def _cast_at_the_end(path: Path, target: Path, amount: float) -> Path:
    model = onnx.load(path)
    output = model.graph.output[0]
    for node in model.graph.node:
        node.output[:] = ["wide" if name == output.name else name for name in node.output]
    model.graph.node.append(
        onnx.helper.make_node("Cast", ["wide"], [output.name], to=onnx.TensorProto.FLOAT16)
    )
    output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for tensor in model.graph.initializer:
        if tensor.name == "b":
            values = numpy_helper.to_array(tensor) + np.float32(amount)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), "b"))
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(("amount", "code"), [(0.0, 0), (0.02, 1)])
def test_a_cast_of_the_output_rounds_once(tmp_path: Path, amount: float, code: int) -> None:
    left = _save(tmp_path / "l.onnx", f"{_TRUNK} y = Identity(o)")
    found = verify(left, _cast_at_the_end(left, tmp_path / "half.onnx", amount))
    assert found.code == code, found.json["reasons"]
    assert not any("computes in" in note for note in found.json["notes"])


def test_float16_inside_is_judged_as_float16_and_a_cast_there_and_back_is_not(
    tmp_path: Path,
) -> None:
    body = f"{_TRUNK} y = Tanh(o)"
    left = _save(tmp_path / "l.onnx", body)
    inside = (
        "x16 = Cast<to=10>(x) w16 = Cast<to=10>(w) h16 = MatMul(x16, w16) h = Cast<to=1>(h16) "
        "p = PRelu(h, a) p16 = Cast<to=10>(p) v16 = Cast<to=10>(v) s16 = MatMul(p16, v16) "
        "s = Cast<to=1>(s16) o = Add(s, b) y = Tanh(o)"
    )
    found = verify(left, _save(tmp_path / "i.onnx", inside))
    assert found.code == 0, found.json["reasons"]
    assert any("computes in float16" in note for note in found.json["notes"])
    through = body.replace("o = Add(s, b)", "t = Cast<to=10>(s) r = Cast<to=1>(t) o = Add(r, b)")
    assert verify(left, _save(tmp_path / "t.onnx", through)).code == 1


_TORCH = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(3)
        self.kind = kind
        self.first, self.act = nn.Conv2d(3, 8, 3, 1, 1), nn.PReLU(8)
        nn.init.uniform_(self.act.weight, -0.1, 0.4)
        self.norm, self.last = nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 4, 1)
        self.eval()

    def forward(self, x):
        y = self.act(self.first(x))
        if self.kind == "style":
            return self.last(self.act(self.norm(self.last.weight.sum() * 0 + y)))
        y = self.last(y)
        if self.kind == "exp":
            return torch.exp(y * 6)
        if self.kind == "sums":
            flat = y.flatten(2)
            return flat.sum(2), flat.cumsum(2)
        if self.kind == "topk":
            return torch.sigmoid(y).flatten(1).topk(8)
        grid = torch.tanh(y[:, :2]).permute(0, 2, 3, 1)
        return F.grid_sample(y, grid, mode="nearest", align_corners=False)

    def example_inputs(self):
        return torch.zeros(1, 3, 16, 16)
"""


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["style", "exp", "sums", "topk", "nearest"])
def test_an_honest_net_passes_and_a_bias_that_is_off_fails(kind: str, tmp_path: Path) -> None:
    import torch

    (tmp_path / "limit_nets.py").write_text(_TORCH)
    space: dict[str, Any] = {}
    exec(_TORCH, space)
    source = f"{tmp_path / 'limit_nets.py'}:Net('{kind}')"
    for amount, code in ((0.0, 0), (1e-2, 1)):
        net = space["Net"](kind)
        with torch.no_grad():
            net.last.bias += amount
        path = tmp_path / f"{code}.onnx"
        torch.onnx.export(
            net, (net.example_inputs(),), str(path), dynamo=False, opset_version=17,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
        found = verify(source, path, "--no-power")
        assert found.code == code, (kind, amount, found.json["reasons"])
