"""Which bodies run is counted, wherever they are; what never depends on the inputs is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_text import parsed, whole

from prelu_tools.graph.copies.branches import COUNTS, counted
from prelu_tools.graph.io.model import OnnxModel

CONSTANTS = {
    "zero": np.float32(0),
    "big": np.float32(100),
    "on": np.array(True),
    "off": np.array(False),
    "one": np.int64(1),
    "two": np.int64(2),
}
THEN, ELSE, RAN = "took its then branch", "took its else branch", "ran its body"


def _model(body: str, more: str = "") -> OnnxModel:
    text = f"""<ir_version: 8, opset_import: ["": 18, "own": 1]>
        main (float[b,3] x) => (float[b,3] y) {{ {body} }} {more}"""
    return whole(parsed(text, CONSTANTS))


def _counts(body: str, *inputs: Any, more: str = "") -> list[dict[tuple[str, str], int]]:
    model = _model(body, more)
    plain = ort.InferenceSession(model.proto.SerializeToString())
    found = counted(model)
    assert found is not None
    copy, bodies = found
    onnx.checker.check_model(copy.proto)
    session = ort.InferenceSession(copy.proto.SerializeToString())
    results = []
    for values in inputs:
        feeds = {"x": np.array(values, np.float32)}
        y, counts = session.run(["y", COUNTS], feeds)
        assert np.array_equal(y, plain.run(None, feeds)[0])
        results.append({(b.node, b.way): int(n) for b, n in zip(bodies, counts, strict=True)})
    return results


UP, DOWN, HIGH = [[1.0, 2.0, 3.0]], [[-1.0, -2.0, -3.0]], [[900.0, 1.0, 1.0]]
INNER = """m2 = ReduceMax <keepdims=0>({x}) c2 = Greater(m2, big) [j] {y} = If (c2) <
    then_branch = t2 () => (float[b,3] ty2) {{ ty2 = Neg({x}) }},
    else_branch = e2 () => (float[b,3] ey2) {{ ey2 = Relu({x}) }}>"""
OUTER = f"""m = ReduceMean <keepdims=0>(x) c = Greater(m, zero) [i] y = If (c) <
    then_branch = t () => (float[b,3] ty) {{ {INNER.format(x="x", y="ty")} }},
    else_branch = e () => (float[b,3] ey) {{ ey = Identity(x) }}>"""


def test_branches_in_branches() -> None:
    up, down, high = _counts(OUTER, UP, DOWN, HIGH)
    assert up == {("If i", THEN): 1, ("If i", ELSE): 0, ("If j", THEN): 0, ("If j", ELSE): 1}
    assert down == {("If i", THEN): 0, ("If i", ELSE): 1, ("If j", THEN): 0, ("If j", ELSE): 0}
    assert high == {("If i", THEN): 1, ("If i", ELSE): 0, ("If j", THEN): 1, ("If j", ELSE): 0}


def test_branches_in_a_loop_whose_length_is_computed() -> None:
    body = f"""m = ReduceMax <keepdims=0>(x) n = Cast <to=7>(m) [l] y = Loop (n, on, x) <
        body = lb (int64 i, bool k, float[b,3] v) => (bool k2, float[b,3] w) {{
            k2 = Identity(k) {INNER.format(x="v", y="w")} }}>"""
    up, down = _counts(body, UP, DOWN)
    assert up == {("Loop l", RAN): 3, ("If j", THEN): 0, ("If j", ELSE): 3}
    assert down == {("Loop l", RAN): 0, ("If j", THEN): 0, ("If j", ELSE): 0}


def test_branches_in_a_loop_of_fixed_length_and_in_a_scan() -> None:
    loop = f"""[l] y, s = Loop (two, on, x) <
        body = lb (int64 i, bool k, float[b,3] v) => (bool k2, float[b,3] w, float[b,3] u) {{
            k2 = Identity(k) u = Abs(v) {INNER.format(x="v", y="w")} }}>"""
    (up,) = _counts(loop, UP)
    assert up == {("If j", THEN): 0, ("If j", ELSE): 2}
    scan = """[s] z, y = Scan <num_scan_inputs=1, body = sb (float a, float[3] v) =>
            (float a2, float[3] w) { a2 = ReduceMax <keepdims=0>(v)
            m2 = Add(a, a2) c2 = Greater(m2, big) [j] w = If (c2) <
            then_branch = t2 () => (float[3] ty2) { ty2 = Neg(v) },
            else_branch = e2 () => (float[3] ey2) { ey2 = Relu(v) }> }> (zero, x)"""
    (rows,) = _counts(scan, [*UP, *DOWN, *HIGH])
    assert rows == {("Scan s", RAN): 3, ("If j", THEN): 1, ("If j", ELSE): 2}


def test_branches_in_functions() -> None:
    more = """<domain: "own", opset_import: ["": 18]> choose (x, zero) => (y) {
        m = ReduceMean <keepdims=0>(x) c = Greater(m, zero) y = If (c) <
        then_branch = t () => (float[b,3] ty) { ty = Neg(x) },
        else_branch = e () => (float[b,3] ey) { ey = Relu(x) }> }"""
    up, down = _counts("y = own.choose(x, zero)", UP, DOWN, more=more)
    assert (list(up.values()), list(down.values())) == ([1, 0], [0, 1])


def test_what_decides() -> None:
    by_size = """s = Shape <start=0, end=1>(x) n = Squeeze(s) c = Greater(n, one) y = If (c) <
        then_branch = t () => (float[b,3] ty) { ty = Neg(x) },
        else_branch = e () => (float[b,3] ey) { ey = Relu(x) }>"""
    for body, by_sizes in ((by_size, {True}), (OUTER, {False})):
        found = counted(_model(body))
        assert found is not None
        assert {one.by_sizes for one in found[1]} == by_sizes


@pytest.mark.parametrize(
    "body",
    [
        "y = Relu(x)",
        """c = Not(off) y = If (c) <then_branch = t () => (float[b,3] ty) { ty = Neg(x) },
            else_branch = e () => (float[b,3] ey) { ey = Relu(x) }>""",
        OUTER.replace("] y = If", "] z = If") + " y = Relu(x)",
        f"""y = If (off) <then_branch = tt () => (float[b,3] tty) {{
            {OUTER.replace("] y = If", "] tty = If")} }},
            else_branch = ee () => (float[b,3] eey) {{ eey = Relu(x) }}>""",
    ],
)
def test_nothing_to_decide(body: str) -> None:
    assert counted(_model(body)) is None
