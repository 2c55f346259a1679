"""Slopes of PReLU in the body of a Loop or Scan: from outside, or handed on from turn to turn."""

from __future__ import annotations

import numpy as np
import pytest
from graph_text import SLOPES, layers, model

ROW = SLOPES.reshape(1, 3)
_FORM = "p = Relu({0}) q = Min({0}, zero) s = Mul(q, {1}) {2} = Add(p, s) "


def _loop(carried: str, after: str) -> str:
    """A Loop whose state is x and a slope; `after` makes the slope's next value, `b_out`."""
    body = _FORM.format("h", carried, "h_out")
    return (
        "y, last = Loop(n, , x, a_row) <body = turn (int64 i, bool c, float[N,3] h, float[1,3] b) "
        "=> (bool c_out, float[N,3] h_out, float[1,3] b_out) "
        f"{{ {body} c_out = Identity(c) {after} }}>"
    )


def _found(body: str) -> list[list[float]]:
    constants = {"a_row": ROW, "n": np.array(3)}
    proto = model(body, "float[N,3] x", "float[N,3] y", constants)
    return [layer.slopes.ravel().tolist() for layer in layers(proto)]


@pytest.mark.parametrize(
    ("carried", "after", "found"),
    [
        ("b", "b_out = Identity(b)", [SLOPES.tolist()]),
        ("b", "k = Identity(b) b_out = Identity(k)", [SLOPES.tolist()]),
        ("a_row", "b_out = Neg(b)", [SLOPES.tolist()]),
        ("b", "b_out = Neg(b)", []),
        ("b", "b_out = Identity(a_row)", []),  # the first turn might have another one
    ],
)
def test_a_slope_in_a_loop(carried: str, after: str, found: list[list[float]]) -> None:
    assert _found(_loop(carried, after)) == found


@pytest.mark.parametrize("scanned", [False, True])
def test_a_slope_in_a_scan(scanned: bool) -> None:
    """A state that is handed on is a constant; what is scanned is another one each time."""
    inputs = "float[N,3] h, float[1,3] b" if scanned else "float[1,3] b, float[N,3] h"
    states = "h_out = Neg(h) " if scanned else ""
    outputs = "float[N,3] h_out, float[N,3] z" if scanned else "float[1,3] b_out, float[N,3] z"
    kept = "" if scanned else "b_out = Identity(b) "
    given = "x, rows" if scanned else "a_row, xs"
    body = (
        f"last, y = Scan({given}) <num_scan_inputs = 1, body = turn ({inputs}) => ({outputs}) "
        f"{{ {states}{kept}{_FORM.format('h', 'b', 'z')} }}>"
    )
    proto = model(
        body, "float[N,3] x, float[4,N,3] xs", "float[4,N,3] y",
        {"a_row": ROW, "rows": np.stack([ROW, 2 * ROW])},
    )  # fmt: skip
    assert [layer.slopes.ravel().tolist() for layer in layers(proto)] == (
        [] if scanned else [SLOPES.tolist()]
    )


def test_a_name_inside_hides_the_one_outside() -> None:
    body = _loop("b", "b_out = Identity(b)").replace("float[1,3] b)", "float[1,3] a_row)")
    body = body.replace("Mul(q, b)", "Mul(q, a_row)").replace("Identity(b)", "Neg(a_row)")
    assert _found(body) == []
