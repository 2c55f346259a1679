"""What no output needs goes, and nothing else."""

from __future__ import annotations

import onnx
import pytest
from graph_text import IMAGE, initializers, model, operators

from prelu_tools.graph.passes.prune import prune
from prelu_tools.graph.walk import reads

BODY = (
    "n = Neg(x) m = Abs(x) d = Relu(x) p = Cast<to = 9>(flag) y = If(p) <then_branch = yes () => "
    f"({IMAGE} u) {{ u = Add(n, a) }}, else_branch = no () => ({IMAGE} m) {{ }}>"
)


def _with_body() -> onnx.ModelProto:
    return model(BODY, f"{IMAGE} x, float[1] flag", constants={"unused": 1.0})


def test_dead_nodes_and_their_constants_go() -> None:
    proto = model("t = Mul(x, a) u = Add(t, half) y = PRelu(x, two)")
    prune(proto.graph)
    assert operators(proto) == ["PRelu"]
    assert set(initializers(proto)) == {"two"}


def test_stale_types_go() -> None:
    proto = onnx.shape_inference.infer_shapes(model("t = Mul(x, a) u = Neg(t) y = Relu(t)"))
    assert {value.name for value in proto.graph.value_info} == {"t", "u"}
    prune(proto.graph)
    assert {value.name for value in proto.graph.value_info} == {"t"}


def test_a_live_graph_stays_byte_for_byte() -> None:
    proto = onnx.shape_inference.infer_shapes(model("t = Mul(x, a) y = PRelu(t, two)"))
    before = proto.SerializeToString()
    prune(proto.graph)
    assert proto.SerializeToString() == before


def test_inputs_stay() -> None:
    proto = model("y = Relu(x)", f"{IMAGE} x, {IMAGE} z")
    prune(proto.graph)
    assert [value.name for value in proto.graph.input] == ["x", "z"]


def test_a_node_stays_for_any_of_its_outputs() -> None:
    proto = model("t, y = Split<axis = 0, num_outputs = 2>(x)")
    prune(proto.graph)
    assert operators(proto) == ["Split"]


def test_what_a_body_reads_or_returns_stays() -> None:
    proto = _with_body()
    prune(proto.graph)
    assert operators(proto) == ["Neg", "Abs", "Cast", "If"]
    assert set(initializers(proto)) == {"a"}


@pytest.mark.parametrize(
    ("node", "expected"), [(0, {"x"}), (3, {"flag"}), (4, {"p", "n", "a", "m"})]
)
def test_what_a_node_reads(node: int, expected: set[str]) -> None:
    assert set(reads(_with_body().graph.node[node])) == expected


def test_an_input_that_is_left_out_is_not_read() -> None:
    assert reads(model("y = Clip(x, , six)").graph.node[0]) == ["x", "six"]


def test_an_output_that_is_an_initializer_stays() -> None:
    proto = model("y = PRelu(x, a)", outputs=f"{IMAGE} y, float[3,1,1] a")
    prune(proto.graph)
    assert set(initializers(proto)) == {"a"}
