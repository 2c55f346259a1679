"""Raising a model's opset keeps what it is and what it says of itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, initializers, model, numbers, run
from onnx import parser
from versions import newest_converter

from prelu_tools.backends.onnxruntime.running.session import newest_opset
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.metadata import describe_layer, properties
from prelu_tools.graph.io.model import OnnxModel, is_external
from prelu_tools.graph.passes.opset import inline_functions, raise_opset

WEIGHT = numbers(40, 3, 3, 3)


def _model(opset: int) -> OnnxModel:
    made = OnnxModel(
        model("c = Conv(x, w) p = PRelu(c, s) y = ReduceMean<keepdims = 0>(p)",
              outputs="float y", opset=opset), None
    )  # fmt: skip
    for name, values in {"w": WEIGHT, "s": numbers(40, 1, 1)}.items():
        made.proto.graph.initializer.append(made.tensor(name, values))
    conv, prelu, mean = made.proto.graph.node
    conv.name, prelu.name, mean.name = "conv", "act", "mean"
    describe_layer(prelu, "act", "act.weight", (0, 1, 2, 3), "channel-wise")
    return made


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (13, 16), (16, 18), (18, 19),
        pytest.param(18, 26, marks=newest_converter), pytest.param(13, 26, marks=newest_converter),
    ],
)  # fmt: skip
def test_names_notes_and_weights_survive(given: int, wanted: int) -> None:
    made = _model(given)
    raised = raise_opset(made, wanted)
    assert raised.opset == wanted
    assert raised.memory is made.memory
    onnx.checker.check_model(raised.inlined(), full_check=True)
    before, after = made.proto.graph, raised.proto.graph
    assert [node.name for node in after.node][:2] == ["conv", "act"]
    assert "mean" in [node.name for node in after.node]
    assert [properties(node) for node in after.node][:2] == [properties(n) for n in before.node][:2]
    weight = next(t for t in after.initializer if t.name == "w")
    assert is_external(weight)
    assert raised.values(weight) is not None
    found, expected = initializers(raised.inlined()), initializers(made.inlined())
    assert all(np.array_equal(found[name], values) for name, values in expected.items())
    assert [v.name for v in after.input] == ["x"]
    assert after.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    if wanted <= newest_opset():  # onnxruntime loads it
        x = numbers(2, 3, 4, 5)
        assert np.array_equal(run(raised.inlined(), x=x)[0], run(made.inlined(), x=x)[0])


def test_the_opset_that_it_has_already_changes_nothing() -> None:
    made = _model(18)
    assert raise_opset(made, 18) is made


def test_no_opset_is_lowered() -> None:
    with pytest.raises(
        PReLUToolsError, match="opset 18, which cannot be lowered to 16: use --opset"
    ):
        raise_opset(_model(18), 16)


def test_what_onnx_cannot_raise_is_an_error() -> None:
    made = OnnxModel(model("y = custom.Thing(x)", opset=13), None)
    made.proto.graph.node.add(op_type="NoSuchOp", input=["y"], output=["z"])
    with pytest.raises(PReLUToolsError, match="opset 13 cannot be raised to 18 by onnx") as caught:
        raise_opset(made, 18)
    assert "\n" not in str(caught.value)


def test_functions_are_put_in_the_place_of_their_calls() -> None:
    proto = parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 18, "local": 1]>
        graph ({IMAGE} x) => ({IMAGE} y) {{ y = local.f(x) }}
        <domain: "local", opset_import: ["": 18]> f (a) => (b) {{ b = Relu(a) }}""")
    made = OnnxModel(proto, None)
    inline_functions(made)
    assert [node.op_type for node in proto.graph.node] == ["Relu"]
    assert not proto.functions
