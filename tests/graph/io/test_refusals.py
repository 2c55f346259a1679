"""A near miss is named with an input that shows it; what is far from PReLU is not named."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, Array, model, whole

from prelu_tools.core.results.inspection import RefusedForm
from prelu_tools.graph.facts.survey import survey

IMAGES = f"{IMAGE} x, {IMAGE} z"


def _refusals(proto: onnx.ModelProto) -> list[RefusedForm]:
    return list(survey(whole(proto), explain=True, target=None).refused)


@pytest.mark.parametrize(
    ("body", "form", "reason"),
    [
        pytest.param(
            "s = Mul(x, two) y = Max(x, s)", "max",
            "for x = 1 it gives 2, where PReLU gives 1", id="max above one",
        ),
        pytest.param(
            "p = Relu(x) r = Mul(p, two) q = Min(x, zero) s = Mul(q, a) y = Add(r, s)", "max_min",
            "for x = 1 it gives 2, where PReLU gives 1", id="scaled above zero",
        ),
        pytest.param(
            "p = Relu(x) r = Mul(p, a) s = Mul(x, a) y = Add(r, s)", "linear",
            "for x = 1 it gives 0.5, where PReLU gives 1", id="linear",
        ),
        pytest.param(
            "b = Mul(x, huge) c = Mul(b, tiny_) d = Greater(x, zero) s = Mul(c, a) "
            "y = Where(d, c, s)", "where",
            "for x = 2.33944e+37 it gives inf, where PReLU gives 2.33944e+37", id="an overflow",
        ),
        pytest.param(
            "p = Relu(x) q = Min(x, tiny) s = Mul(q, a) y = Add(p, s)", "linear",
            "for x = 0.004 it gives 0.00425, where PReLU gives 0.004", id="a threshold",
        ),
        pytest.param(
            "p = Clip(x, zero, six) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)", "max_min",
            "for x = 9 it gives 6, where PReLU gives 9", id="a cap",
        ),
        pytest.param(
            "p = Relu(x) q = Clip(x, minus_one, zero) s = Mul(q, a) y = Add(p, s)", "clip",
            "for x = -2 it gives -0.25, where PReLU gives -0.5", id="a floor",
        ),
        pytest.param(
            "g = Sigmoid(x) p = Relu(x) q = Min(x, zero) s = Mul(q, g) t = Mul(s, a) "
            "y = Add(p, t)", "max_min",
            "for x = -0.3 it gives -0.0319168, where PReLU gives -0.037425", id="a gate",
        ),
    ],
)  # fmt: skip
def test_the_input_that_shows_a_near_miss(body: str, form: str, reason: str) -> None:
    constants = {"huge": np.float32(2.0**30), "tiny_": np.float32(2.0**-30)}
    refused = _refusals(model(body, IMAGES, constants=constants))
    assert RefusedForm("y", form, reason) in refused
    assert len(refused) == 1


def test_a_slope_that_is_computed() -> None:
    assert _refusals(model("y = PRelu(x, z)", IMAGES)) == [
        RefusedForm("y", "prelu", "its slope 'z' is computed from the input")
    ]


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
        pytest.param("s = Mul(x, a) t = Add(s, a_half) y = Relu(t)", id="a batch normalization"),
        pytest.param("r = Relu(x) s = Mul(r, a) y = Add(s, a_half)", id="one behind Relu"),
        pytest.param("g = Sigmoid(x) y = Mul(x, g)", id="swish"),
        pytest.param("y = Clip(x, zero, six)", id="relu6"),
        pytest.param("u = Add(x, two) v = Clip(u, zero, six) w = Div(v, six) y = Mul(x, w)",
                     id="hardswish"),
        pytest.param("y = custom.PRelu(x, z)", id="another domain"),
    ],
)  # fmt: skip
def test_no_near_miss(body: str) -> None:
    assert _refusals(model(body, IMAGES)) == []


def test_near_misses_come_in_the_order_of_the_graph() -> None:
    proto = model("m = PRelu(x, z) s = Mul(m, two) y = Max(m, s)", IMAGES)
    assert [(refusal.node, refusal.form) for refusal in _refusals(proto)] == [
        ("m", "prelu"),
        ("y", "max"),
    ]


def test_what_is_refused_is_not_a_layer_and_stays() -> None:
    values: Array = np.array([0.5, 2, -1], np.float32).reshape(3, 1, 1)
    proto = model("s = Mul(x, b) y = Max(x, s)", constants={"b": values})
    found = survey(whole(proto), explain=True, target=None)
    assert found.layers == ()
    assert [finding.code for finding in found.findings] == ["max_above_one"]
