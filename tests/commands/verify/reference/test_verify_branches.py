"""A branch that no input took: inputs are looked for that take it, and it is named without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli
from text_nets import candidate, npz, save, verify

ROWS, OUT = "float[batch,4] x", "float[batch,4] y"
SLOPES = np.array([0.5, -0.25, 0.125, 2.0], np.float32)


def _net(path: Path, factor: float, condition: str, **constants: Any) -> Path:
    """PReLU, times a factor where the condition holds."""
    body = f"""[act] p = PRelu(x, a) {condition} [choice] y = If (c) <
        then_branch = t () => (float[batch,4] ty) {{ ty = Mul(p, k) }},
        else_branch = e () => (float[batch,4] ey) {{ ey = Identity(p) }}>"""
    return save(path, body, ROWS, OUT, a=SLOPES, k=np.array(factor, np.float32), **constants)


def _pair(folder: Path, condition: str, **constants: Any) -> tuple[Path, Path]:
    found = (_net(folder / f"{k}.onnx", k, condition, **constants) for k in (2.0, 3.0))
    return next(found), next(found)


HIGH = "m = ReduceMax <keepdims=0>(p) c = Greater(m, limit)"


@pytest.mark.parametrize(
    ("condition", "limit"),
    [
        (HIGH, 5000.0),
        ("m = ReduceMin <keepdims=0>(x) c = Greater(m, limit)", 2.0),
        ("m = ReduceMean <keepdims=0>(x) c = Less(m, limit)", -200.0),
        ("b = Abs(x) m = ReduceMax <keepdims=0>(b) c = Less(m, limit)", 0.05),
    ],
)
def test_a_branch_that_inputs_can_turn_is_compared(
    condition: str, limit: float, tmp_path: Path
) -> None:
    right, wrong = _pair(tmp_path, condition, limit=limit)
    found = verify(right, wrong, "--no-power")
    assert found.code == 1
    assert found.json["n_searched"] > 0
    assert verify(right, right, "--no-power").code == 0


def test_a_branch_that_nothing_turns_is_named(tmp_path: Path) -> None:
    right, wrong = _pair(tmp_path, f"t = Tanh(p) {HIGH.replace('(p)', '(t)')}", limit=1.5)
    for other in (right, wrong):
        found = verify(right, other, "--no-power")
        assert found.code == 3
        assert candidate(found)["reason_codes"] == ["branch_not_taken"]
        assert candidate(found)["reasons"][0].startswith("If choice never took its then branch")
        assert found.json["reason_codes"] == ["branch_not_taken"] * 2


def test_a_range_keeps_the_search_inside(tmp_path: Path) -> None:
    right, wrong = _pair(tmp_path, HIGH, limit=5000.0)
    found = verify(right, wrong, "--no-power", "--input-range", "x=-1,1")
    assert (found.code, found.json["n_searched"]) == (3, 0)


def test_inputs_that_are_replayed_are_not_searched(tmp_path: Path) -> None:
    right, wrong = _pair(tmp_path, HIGH, limit=5000.0)
    low = npz(tmp_path / "low.npz", x=np.ones((2, 4), np.float32))
    found = verify(right, wrong, "--no-power", "--inputs", low)
    assert (found.code, found.json["n_searched"]) == (3, 0)
    high = npz(tmp_path / "high.npz", x=np.array([[1, 2, 3, 9e3], [-1, 1, 1, 1]], np.float32))
    found = verify(right, wrong, "--no-power", "--inputs", high)
    assert (found.code, found.json["n_searched"]) == (1, 0)


def test_the_branch_of_a_candidate_alone_counts(tmp_path: Path) -> None:
    _, wrong = _pair(tmp_path, HIGH, limit=5000.0)
    plain = save(tmp_path / "plain.onnx", "[act] y = PRelu(x, a)", ROWS, OUT, a=SLOPES)
    assert verify(plain, wrong, "--no-power").code == 1
    _, hidden = _pair(tmp_path, f"t = Tanh(p) {HIGH.replace('(p)', '(t)')}", limit=1.5)
    found = verify(plain, hidden, "--no-power")
    assert found.code == 3
    assert found.json["reason_codes"] == ["branch_not_taken"]


def test_sizes_that_turn_a_branch_are_tried(tmp_path: Path) -> None:
    condition = "s = Shape <start=0, end=1>(x) n = Squeeze(s) c = Greater(n, limit)"
    right, wrong = _pair(tmp_path, condition, limit=np.array(40))
    assert verify(right, wrong, "--no-power").code == 1
    assert verify(right, right, "--no-power").code == 0
    right, wrong = _pair(tmp_path, condition, limit=np.array(10**6))
    found = verify(right, wrong, "--no-power")
    assert found.code == 0
    assert "branch_not_taken" in found.json["note_codes"]


def test_inputs_that_overflow_turn_nothing(tmp_path: Path) -> None:
    """Where the branch runs, the output is infinite: nothing is proven there."""
    body = """[act] p = PRelu(x, a) m = ReduceMax <keepdims=0>(p) c = Greater(m, limit)
        [choice] y = If (c) <
        then_branch = t () => (float[batch,4] ty) { e = Exp(p) f = Exp(e) ty = Mul(f, e) },
        else_branch = e () => (float[batch,4] ey) { ey = Identity(p) }>"""
    net = save(tmp_path / "n.onnx", body, ROWS, OUT, a=SLOPES, limit=np.float32(3000.0))
    found = verify(net, net, "--no-power")
    assert (found.code, found.json["n_searched"]) == (3, 0)


_NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.how, self.fc = how, nn.Linear(4, 4)
        self.a, self.b = nn.PReLU(4, init=0.5), nn.PReLU(4, init=-0.3)

    def forward(self, x):
        y = self.fc(x)
        if self.how == "mean":
            return self.a(y) if y.mean() > 0 else self.b(-y)
        if self.how == "never":
            return self.a(y) if y.tanh().max() < 1.5 else self.b(-y)
        if self.how == "number":
            return self.a(y) if float(y.max()) < 700 else self.b(-y)
        assert y.abs().max() < 1e9
        return self.b(self.a(y)) if self.a.weight.sum() > 0 else y

    def example_inputs(self):
        return (torch.tensor([[1.0, -2.0, 3.0, 0.5], [0.1, 2.0, -1.0, 1.0]]),)
"""


@pytest.mark.torch
@pytest.mark.parametrize(("how", "code"), [("mean", 1), ("number", 1), ("never", 3), ("plain", 0)])
def test_a_decision_that_tracing_froze_does_not_pass(
    how: str, code: int, nets: Path, tmp_path: Path
) -> None:
    written = tmp_path / "net.onnx"
    found = cli("export", f"{nets}:Net('{how}')", "-o", written)
    assert found.code == code, found.words
    assert written.exists() == (code == 0)
    if how == "mean":
        assert (
            "the condition at nets_of_test_verify_branches.py:16 evaluated to true only for inputs"
            in found.words
        )
    if code == 3:
        line = next(i for i, text in enumerate(_NETS.splitlines(), 1) if "tanh" in text)
        assert (
            f"the condition at nets_of_test_verify_branches.py:{line} never evaluated to false"
            in found.words
        )
