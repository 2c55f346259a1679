"""A near miss is named with its one fault; what is recognised, or far from any form, is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, matches, model, view

from prelu_tools.core.inspection import RefusedForm
from prelu_tools.graph.refusals import find_refusals

IMAGES = f"{IMAGE} x, {IMAGE} z"


def _refusals(proto: onnx.ModelProto) -> list[RefusedForm]:
    taken = {name for match in matches(proto) for node in match.nodes for name in node.output}
    return list(find_refusals(view(proto), taken))


@pytest.mark.parametrize(
    ("body", "form", "reason"),
    [
        pytest.param(
            "p = Relu(x) n = Neg(z) q = Relu(n) s = Mul(q, a) y = Add(p, s)", "relu_neg",
            "it reads 'x' in one place and 'z' in another", id="two inputs",
        ),
        pytest.param(
            "p = Relu(x) q = Min(x, tiny) s = Mul(q, a) y = Add(p, s)", "max_min",
            "it has the constant 0.001, not 0", id="no zero",
        ),
        pytest.param(
            "p = Relu(x) n = Mul(x, two) q = Relu(n) s = Mul(q, a) y = Add(p, s)", "relu_mul",
            "it has the constant 2, not -1", id="no minus one",
        ),
        pytest.param(
            "y = PRelu(x, z)", "prelu", "its slope 'z' is computed from the input", id="prelu",
        ),
        pytest.param(
            "g = Sigmoid(x) p = Relu(x) q = Min(x, zero) s = Mul(q, g) y = Add(p, s)", "max_min",
            "its slope 'g' is computed from the input", id="a gate",
        ),
        pytest.param(
            "g = Sigmoid(x) p = Relu(x) q = Min(x, zero) s = Mul(g, q) y = Add(s, p)", "max_min",
            "its slope 'g' is computed from the input", id="a gate, turned",
        ),
        pytest.param(
            "s = Mul(x, two) y = Max(x, s)", "max",
            "a slope is above 1, and max(x, a*x) is then the larger of the two for x > 0",
            id="max above one",
        ),
        pytest.param(
            "p = Relu(x) r = Mul(p, a) s = Mul(x, a) y = Add(r, s)", "linear",
            "its two factors are not a and 1 - a", id="linear",
        ),
    ],
)  # fmt: skip
def test_the_fault_of_a_near_miss(body: str, form: str, reason: str) -> None:
    refused = _refusals(model(body, IMAGES))
    assert RefusedForm("y", form, reason) in refused
    assert len(refused) == 1


def test_the_node_is_named_where_it_has_a_name() -> None:
    proto = model("s = Mul(x, two) y = Max(x, s)")
    proto.graph.node[1].name = "block/act"
    assert [refusal.node for refusal in _refusals(proto)] == ["block/act"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)", id="recognised"),
        pytest.param("y = Add(x, z)", id="an addition"),
        pytest.param("p = Relu(x) q = Relu(z) y = Add(p, q)", id="a sum of activations"),
        pytest.param("y = Max(x, z)", id="a maximum"),
        pytest.param("p = Relu(x) q = Min(z, tiny) s = Mul(q, a) y = Add(p, s)", id="two faults"),
        pytest.param("y = custom.PRelu(x, z)", id="another domain"),
    ],
)
def test_no_near_miss(body: str) -> None:
    assert _refusals(model(body, IMAGES)) == []


def test_near_misses_come_in_the_order_of_the_graph() -> None:
    proto = model("m = PRelu(x, z) s = Mul(m, two) y = Max(m, s)", IMAGES)
    assert [(refusal.node, refusal.form) for refusal in _refusals(proto)] == [
        ("m", "prelu"),
        ("y", "max"),
    ]


def test_a_constant_of_several_values_is_no_near_zero() -> None:
    proto = model(
        "p = Relu(x) q = Min(x, many) s = Mul(q, a) y = Add(p, s)",
        constants={"many": np.full((3, 1, 1), 0.5, np.float32)},
    )
    assert _refusals(proto) == []
