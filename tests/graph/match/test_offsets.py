"""PReLU and a constant that is added to it, in whatever order the sum is written."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, layers, model, numbers, operators, run, whole

from prelu_tools.graph.passes.canonical import fuse_prelus

PARTS = "p = Relu(x) q = Min(x, zero) s = Mul(q, a) "
NEGATED = "p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, a_negated) "
SUMS = {
    "keras": NEGATED + "t = Add(c, s) y = Add(p, t)",
    "the positive part first": PARTS + "t = Add(p, c) y = Add(t, s)",
    "subtracted": PARTS + "t = Sub(s, c) y = Add(p, t)",
    "subtracted at the end": NEGATED + "t = Mul(q, a) u = Add(t, c) y = Sub(p, u)",
    "from the constant": NEGATED + "t = Mul(q, a) u = Sub(c, t) y = Add(p, u)",
    "the constant less": PARTS + "u = Sub(c, s) v = Neg(u) y = Add(p, v)",
    "two of them": PARTS + "t = Add(s, c) u = Add(six, t) y = Add(u, p)",
    "behind it": PARTS + "t = Add(p, s) y = Add(t, c)",
}
NEAR = SLOPES.reshape(3, 1, 1) * 3


@pytest.mark.parametrize("body", [pytest.param(b, id=name) for name, b in SUMS.items()])
def test_the_offset_is_no_part_of_the_prelu(body: str) -> None:
    proto = model(body, constants={"c": NEAR})
    before = proto.SerializeToString()
    found = layers(proto)
    assert proto.SerializeToString() == before
    if "v = Neg" in body:  # a negation in between hides it: it is not found, and not wrong
        assert found == ()
        return
    (layer,) = found
    assert layer.slopes.ravel().tolist() == SLOPES.tolist()
    x = numbers(2, 3, 4, 5)
    outputs = run(proto, x=x)[0]
    fuse_prelus(whole(proto), lambda _: True)
    onnx.checker.check_model(proto, full_check=True)
    left = operators(proto)
    assert left[0] == "PRelu"
    assert set(left[1:]) <= {"Add", "Sub"}
    assert np.allclose(run(proto, x=x)[0], outputs, 1e-6, 1e-6)


def test_what_is_offset_on_one_side_only_is_none() -> None:
    proto = model(PARTS + "t = Add(q, c) u = Mul(t, a) y = Add(p, u)", constants={"c": NEAR})
    assert layers(proto) == ()


def test_two_activations_and_a_bias_are_none() -> None:
    proto = model("p = Relu(x) q = Relu(z) t = Add(q, c) y = Add(p, t)",
                  "float[N,3,4,5] x, float[N,3,4,5] z", constants={"c": NEAR})  # fmt: skip
    assert layers(proto) == ()
