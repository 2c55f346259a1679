"""Every operator of a result is one that its opset defines."""

from __future__ import annotations

import onnx
import pytest
from graph_text import IMAGE, model
from onnx import helper, parser

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.operators import check_operators


def _named(body: str, *names: str, opset: int = 18) -> onnx.ModelProto:
    proto = model(body, f"{IMAGE} x", f"{IMAGE} y", opset=opset)
    for node, name in zip(proto.graph.node, names, strict=True):
        node.name = name
    return proto


@pytest.mark.parametrize("opset", [13, 16, 18, 22, 26])
def test_what_the_opset_defines_passes(opset: int) -> None:
    check_operators(_named("r = Relu(x) y = PRelu(r, a)", "", "", opset=opset))


@pytest.mark.parametrize("operator", ["StatefulPartitionedCall", "Erfc"])
def test_what_a_converter_left_is_named_with_its_layer(operator: str) -> None:
    """Ops of TensorFlow, which tf2onnx writes for grouped convolutions and gelu without a word."""
    proto = _named(f"r = Relu(x) y = {operator}(r)", "relu/Relu", f"block/conv/{operator}")
    with pytest.raises(PReLUToolsError) as caught:
        check_operators(proto)
    assert str(caught.value) == (
        f"layer 'block/conv' became {operator}, which opset 18 of ONNX does not define: the "
        "converter does not know that layer; write it with operations that ONNX has"
    )


def test_an_operator_that_came_later_is_named_with_its_opset() -> None:
    with pytest.raises(PReLUToolsError, match="it was added in opset 20, use --opset 20 or newer"):
        check_operators(_named("y = Gelu(x)", "act/Gelu"))
    check_operators(_named("y = Gelu(x)", "act/Gelu", opset=20))


def test_an_operator_that_was_withdrawn_is_none() -> None:
    with pytest.raises(PReLUToolsError, match="layer 'up' became Upsample"):
        check_operators(_named("y = Upsample(x, a)", "up/Upsample"))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("y = custom.Thing(x)", "became custom.Thing, which opset 1 of custom does not define"),
        ("y = other.Thing(x)", r"became other.Thing, which no opset that the model imports"),
    ],
)
def test_another_domain_is_looked_up_too(node: str, words: str) -> None:
    with pytest.raises(PReLUToolsError, match=words):
        check_operators(_named(node, "layer/Thing"))


def test_bodies_are_looked_into() -> None:
    body = helper.make_graph(
        [helper.make_node("Erfc", ["x"], ["s"], name="act/Erfc")], "body", [],
        [helper.make_tensor_value_info("s", 1, None)],
    )  # fmt: skip
    proto = model("y = Relu(x)", f"{IMAGE} x, bool c")
    proto.graph.node.append(
        helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body)
    )
    with pytest.raises(PReLUToolsError, match="layer 'act' became Erfc"):
        check_operators(proto)


@pytest.mark.parametrize(("operator", "passes"), [("Relu", True), ("Erfc", False)])
def test_functions_are_looked_into_and_calls_of_them_pass(operator: str, passes: bool) -> None:
    proto = parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 18, "local": 1]>
        graph ({IMAGE} x) => ({IMAGE} y) {{ y = local.f(x) }}
        <domain: "local", opset_import: ["": 18]> f (a) => (b) {{ b = {operator}(a) }}""")
    if passes:
        check_operators(proto)
    else:
        with pytest.raises(PReLUToolsError, match="became Erfc"):
            check_operators(proto)


def test_a_node_without_a_layer_is_not_called_one() -> None:
    with pytest.raises(PReLUToolsError, match=r"^a node outside of any layer became Erfc"):
        check_operators(_named("y = Erfc(x)", "Erfc_1"))
