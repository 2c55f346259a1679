"""The last steps of an export: what the written model says of itself, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, SLOPES, Array, initializers, model, numbers, run, whole
from onnx import helper, numpy_helper

import prelu_tools
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.io.metadata import SOURCE_HASH, WEIGHTS_HASH
from prelu_tools.graph.passes.finish import finish

PROPERTIES = {"prelu_tools.source": "nets.py:Net", "prelu_tools.route": "torch.onnx 2.9"}


def _finished(
    body: str = "c = Conv(x, w) y = PRelu(c, s)",
    name: str = "act.weight",
    change: Mapping[str, object] | None = None,
    inputs: str = f"{IMAGE} x",
    keep: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """A model with one PReLU, its tags replaced."""
    book = TagBook()
    constants = {"s": book.tag("s", (3,)).reshape(3, 1, 1), "w": numbers(3, 3, 1, 1)}
    proto = model(body, inputs, constants=constants)
    for field, value in (change or {}).items():
        setattr(proto, field, value)
    parameter = SlopeParameter("act", name, SLOPES, np.arange(3).reshape(1, 3, 1, 1), 1)
    finish(whole(proto), book, {"s": parameter}, keep or {}, PROPERTIES)
    return proto


def test_what_a_model_says_of_itself() -> None:
    proto = _finished(change={"doc_string": "/home/someone", "producer_name": "pytorch"})
    assert (proto.producer_name, proto.producer_version) == ("prelu-tools", prelu_tools.__version__)
    assert proto.graph.name == "nets.py:Net"
    assert proto.doc_string == ""
    found = {entry.key: entry.value for entry in proto.metadata_props}
    assert len(found.pop(WEIGHTS_HASH)) == 64
    assert found == PROPERTIES
    assert list(found) == sorted(found)


def test_a_source_with_a_hash_needs_none_of_its_weights() -> None:
    proto = model("y = Relu(x)")
    finish(whole(proto), TagBook(), {}, {}, {SOURCE_HASH: "0f"})
    assert {entry.key: entry.value for entry in proto.metadata_props} == {SOURCE_HASH: "0f"}


def test_the_hash_is_that_of_names_types_shapes_and_values() -> None:
    def found(name: str, values: Array) -> str:
        proto = model(f"y = Add(x, {name})", constants={name: values})
        finish(whole(proto), TagBook(), {}, {name: name}, {})
        return {entry.key: entry.value for entry in proto.metadata_props}[WEIGHTS_HASH]

    values = numbers(3, 4, 5)
    one = found("weight", values)
    assert found("weight", np.asfortranarray(values)) == one
    others = [found("bias", values), found("weight", values[None]), found("weight", -values)]
    assert len({one, *others}) == 4


def test_a_slope_that_no_runtime_can_use_is_an_error() -> None:
    """Onnx's checker and its shape inference accept it."""
    proto = model("y = PRelu(x, s)", constants={"s": np.ones(3, np.float32)})
    onnx.checker.check_model(proto, full_check=True)
    with pytest.raises(PReLUToolsError, match=r"cannot be exported: a slope of shape \[3\]"):
        finish(whole(proto), TagBook(), {}, {}, {})


def test_domains_of_bodies_are_imported_too() -> None:
    body = helper.make_graph(
        [helper.make_node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])],
        "body", [], [helper.make_tensor_value_info("s", 1, ["N", 3, 4, 5])],
    )  # fmt: skip
    proto = model("y = Relu(x)")
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    proto.graph.node.append(
        helper.make_node("If", ["yes"], ["z"], then_branch=body, else_branch=body)
    )
    proto.graph.output.append(helper.make_tensor_value_info("z", 1, ["N", 3, 4, 5]))
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    finish(whole(proto), TagBook(), {}, {}, {})
    assert sorted(o.domain for o in proto.opset_import) == ["", "ai.onnx.ml"]


def test_only_domains_that_are_used_are_imported() -> None:
    assert [(o.domain, o.version) for o in _finished().opset_import] == [("", 18)]


@pytest.mark.parametrize(("given", "written"), [(8, 10), (10, 10), (14, 10)])
def test_the_format_knows_metadata_of_nodes(given: int, written: int) -> None:
    assert _finished(change={"ir_version": given}).ir_version == written


def test_functions_and_old_metadata_go() -> None:
    book = TagBook()
    proto = model("y = PRelu(x, s)", constants={"s": book.tag("s", (3,)).reshape(3, 1, 1)})
    proto.functions.add(name="f", domain="custom")
    proto.metadata_props.add(key="note", value="old")
    parameter = SlopeParameter("act", "w", SLOPES, np.arange(3).reshape(1, 3, 1, 1), 1)
    finish(whole(proto), book, {"s": parameter}, {}, PROPERTIES)
    assert not proto.functions
    assert "note" not in {entry.key for entry in proto.metadata_props}


def test_the_result_runs_and_has_the_names_of_the_source() -> None:
    proto = _finished(keep={"w": "conv.weight"})
    assert set(initializers(proto)) == {"act.weight", "conv.weight"}
    assert [node.name for node in proto.graph.node] == ["Conv", "act"]
    assert run(proto, x=numbers(2, 3, 4, 5))[0].shape == (2, 3, 4, 5)


def test_a_source_without_a_name_is_called_after_the_tool() -> None:
    proto = model("y = Relu(x)")
    finish(whole(proto), TagBook(), {}, {}, {})
    assert proto.graph.name == "prelu-tools"


def test_a_missing_layer_is_an_error() -> None:
    with pytest.raises(PReLUToolsError, match="act"):
        _finished("y = Relu(x)")


def test_a_graph_that_is_no_onnx_is_an_error() -> None:
    book = TagBook()
    proto = model("y = PRelu(x, s)", constants={"s": book.tag("s", (3,)).reshape(3, 1, 1)})
    proto.graph.node.append(helper.make_node("NoSuchOp", ["y"], ["z"]))
    proto.graph.output.append(helper.make_tensor_value_info("z", 1, ["N", 3, 4, 5]))
    parameter = SlopeParameter("act", "w", SLOPES, np.arange(3).reshape(1, 3, 1, 1), 1)
    with pytest.raises(PReLUToolsError, match=r"became NoSuchOp, which opset 18") as caught:
        finish(whole(proto), book, {"s": parameter}, {}, {})
    assert "\n" not in str(caught.value)


def test_shapes_that_contradict_each_other_are_an_error() -> None:
    with pytest.raises(PReLUToolsError, match="is not valid ONNX"):
        _finished("t = MatMul(x, w) y = PRelu(t, s)")


@pytest.mark.parametrize(
    ("body", "name"), [("x = Neg(z) y = PRelu(x, s)", "x"), ("y = PRelu(z, s)", "z")],
    ids=["a tensor", "an input"],
)  # fmt: skip
def test_a_slope_may_have_the_name_of_another_tensor(body: str, name: str) -> None:
    proto = _finished(body, name, inputs=f"{IMAGE} z")
    z = numbers(2, 3, 4, 5)
    assert run(proto, z=z)[0].shape == z.shape
