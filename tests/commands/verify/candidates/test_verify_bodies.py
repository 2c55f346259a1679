"""PReLU in bodies of If and Loop are compared as they run, as those of the main graph are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from text_nets import COLUMN, IMAGE, SLOPES, candidate, save, verdicts, verify

BRANCHES = (
    f"s = ReduceSum<keepdims = 0>(x) c = Greater(s, zero) y = If (c) <then_branch = yes () => "
    f"({IMAGE} u) {{ u = PRelu(x, a) }}, else_branch = no () => ({IMAGE} w) "
    "{ n = Neg(x) w = PRelu(n, b) }>"
)
LOOP = (
    f"y = Loop (three, , x) <body = turn (int64 i, bool c, {IMAGE} s) => (bool d, {IMAGE} r) "
    "{ d = Identity(yes) n = Neg(s) r = PRelu(n, a) }>"
)
CONSTANTS = {"zero": 0.0, "three": np.array(3), "yes": np.array(True)}


def _net(path: Path, body: str, a: np.ndarray, b: np.ndarray = 2 * COLUMN) -> Path:  # type: ignore[type-arg]
    known = {"a": a, "b": b, **CONSTANTS}
    return save(path, body, **{name: values for name, values in known.items() if name in body})


@pytest.mark.parametrize(("body", "n_slopes"), [(BRANCHES, 6), (LOOP, 3)], ids=["if", "loop"])
def test_layers_in_bodies_are_proven_by_behaviour(body: str, n_slopes: int, tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx", body, COLUMN)
    found = verify(net, net)
    assert found.code == 0, found.err
    for layer in candidate(found)["layers"]:
        assert (layer["coverage"], layer["max_ulp_diff"]) == (1.0, 0)
    power = candidate(found)["power"]
    assert power["planted"] == power["detected"] >= n_slopes
    assert found.json["coverage"]["exercised"] == n_slopes


@pytest.mark.parametrize("body", [BRANCHES, LOOP], ids=["if", "loop"])
@pytest.mark.parametrize("slopes", [-SLOPES, SLOPES[::-1]], ids=["negated", "turned round"])
def test_wrong_slopes_in_a_body_show_in_the_layer(
    body: str, slopes: np.ndarray, tmp_path: Path  # type: ignore[type-arg]
) -> None:  # fmt: skip
    net = _net(tmp_path / "net.onnx", body, COLUMN)
    wrong = _net(tmp_path / "wrong.onnx", body, np.ascontiguousarray(slopes).reshape(3, 1, 1))
    found = verify(net, wrong)
    assert found.code == 1
    assert verdicts(found)["a"] == "fail"
    layer = next(layer for layer in candidate(found)["layers"] if layer["name"] == "a")
    assert layer["max_ulp_diff"] > 1000
