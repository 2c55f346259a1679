"""Slopes along the wrong axis: laid where the channel count puts them, refused where in doubt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, Array, initializers, model
from onnx import TensorProto, helper

from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import InputOption
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.repair import Repair, repair_slopes

FOUR = np.array([0.25, -0.5, 1.5, 2.0], np.float32)


def _model(dims: str, slope: Array, opset: int = 18) -> OnnxModel:
    text = f"float[{dims}]"
    proto = model("[act] y = PRelu(x, s)", f"{text} x", f"{text} y", {"s": slope}, opset)
    return OnnxModel(proto, None)


def _shape(found: OnnxModel) -> tuple[int, ...]:
    (slope,) = initializers(found.proto).values()
    return slope.shape


def _one(repairs: tuple[Repair, ...]) -> Repair:
    (repair,) = repairs
    return repair


@pytest.mark.parametrize(
    ("dims", "after"),
    [
        ("N,3,4,5", (3, 1, 1)),
        ("1,3,7", (3, 1)),
        ("N,3,4,5,6", (3, 1, 1, 1)),
        ("N,3,H,W", (3, 1, 1)),
        ("N,3,3,5", (3, 1, 1)),
    ],
)
def test_the_channel_count_leaves_no_doubt(dims: str, after: tuple[int, ...]) -> None:
    found = _model(dims, SLOPES)
    repair = _one(repair_slopes(found))
    assert (repair.node, repair.before, repair.after, repair.axis) == ("act", (3,), after, 1)
    assert list(initializers(found.proto)) == ["s"]
    assert same_bits(initializers(found.proto)["s"], SLOPES.reshape(after))
    assert "3 is the number of channels" in str(repair)


@pytest.mark.parametrize(
    ("dims", "slope"),
    [
        ("N,3", SLOPES),  # after a dense layer
        ("N,4,5,3", SLOPES),  # the last axis, by the rule
        ("N,T,3", SLOPES),
        ("N,3,4,5", SLOPES.reshape(3, 1, 1)),
        ("N,3,4,3", SLOPES.reshape(1, 3)),  # two axes say which one is meant
        ("N,3,3,3", SLOPES.reshape(3, 1, 1)),
        ("N,3,4,5", SLOPES[:1]),
        ("N,3,4,5", np.ones((3, 4, 5), np.float32)),
    ],
)
def test_what_is_right_stays(dims: str, slope: Array) -> None:
    found = _model(dims, slope)
    before = found.proto.SerializeToString()
    assert repair_slopes(found, axis=1) == ()
    assert found.proto.SerializeToString() == before


def test_a_row_that_does_not_broadcast_is_meant_for_the_channels() -> None:
    found = _model("N,3,4,5", SLOPES.reshape(1, 3))
    assert _one(repair_slopes(found)).after == (3, 1, 1)


@pytest.mark.parametrize("dims", ["N,4,4,4", "N,4,7,4", "N,C,H,W"])
def test_two_readings_are_refused(dims: str) -> None:
    with pytest.raises(PReLUToolsError, match=r"act: .*ambiguous.*--slope-axis 1") as error:
        repair_slopes(_model(dims, FOUR))
    assert "--repair-slopes" in str(error.value)


@pytest.mark.parametrize(
    ("axis", "after"), [(1, (4, 1, 1)), (-3, (4, 1, 1)), (3, (4,)), (-1, (4,))]
)
def test_the_user_names_the_axis(axis: int, after: tuple[int, ...]) -> None:
    found = _model("N,4,4,4", FOUR)
    assert len(repair_slopes(found, axis)) == (axis not in (3, -1))
    assert _shape(found) == after


@pytest.mark.parametrize("axis", [0, 2, 4, -5])
def test_an_axis_that_does_not_fit_is_refused(axis: int) -> None:
    with pytest.raises(PReLUToolsError, match=f"--slope-axis {axis}: .*expected one of 1, 3"):
        repair_slopes(_model("9,4,5,4", FOUR), axis)


def test_what_leaves_no_doubt_does_not_ask_for_the_axis() -> None:
    assert _one(repair_slopes(_model("N,3,4,5", SLOPES), axis=-1)).axis == 1


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(PReLUToolsError, match=r"\[4\] on an input of \[\?, 3, 4, 5\] fits neither"):
        repair_slopes(_model("N,3,4,5", FOUR))


def _unknown(opset: int = 18) -> OnnxModel:
    """A node behind an operator that nobody knows the shape of."""
    body = "h = custom.Odd(x) [act] y = PRelu(h, s)"
    return OnnxModel(model(body, constants={"s": SLOPES}, opset=opset), None)


def test_without_a_shape_nothing_is_guessed() -> None:
    with pytest.raises(PReLUToolsError, match=r"shape of its input is not known.*--input"):
        repair_slopes(_unknown(), axis=1)


def test_without_a_shape_the_last_axis_is_the_rule_for_whoever_says_so() -> None:
    assert repair_slopes(_unknown(), axis=-1) == ()
    with pytest.raises(PReLUToolsError):  # before opset 7 there was no such rule
        repair_slopes(_unknown(6), axis=-1)


def test_sizes_that_the_user_gives_tell_the_channels() -> None:
    body = "h = Flatten(x) r = Reshape(h, to) [act] y = PRelu(r, s)"
    constants: Mapping[str, Array] = {"s": FOUR, "to": np.array([0, -1, 3, 4])}
    found = OnnxModel(model(body, "float[N,C,3,4] x", "float[N,D,3,4] y", constants), None)
    repair_slopes(found)  # 4 is the last axis, and the channels are free: the rule holds
    assert _shape_of(found, "s") == (4,)
    given = (InputOption("x", (2, 4, 3, 4)),)
    with pytest.raises(PReLUToolsError, match=r"\[2, 4, 3, 4\] is ambiguous"):
        repair_slopes(found, inputs=given)
    dims = found.proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param for dim in dims[:2]] == ["N", "C"]


def _shape_of(found: OnnxModel, name: str) -> tuple[int, ...]:
    return initializers(found.proto)[name].shape


@pytest.mark.parametrize("dims", ["N,4,4,4", "N,4,5,6"])
def test_before_opset_7_there_is_one_reading(dims: str) -> None:
    found = _model(dims, FOUR, opset=6)
    assert "opset 6" in _one(repair_slopes(found)).reason
    assert _shape(found) == (4, 1, 1)


def test_before_opset_7_other_counts_are_refused() -> None:
    with pytest.raises(PReLUToolsError, match="fits neither"):
        repair_slopes(_model("N,5,4,4", FOUR, opset=6))


def test_nodes_that_share_a_slope_still_do() -> None:
    body = "[one] h = PRelu(x, s) [two] y = PRelu(h, s)"
    found = OnnxModel(model(body, constants={"s": SLOPES}), None)
    assert [repair.node for repair in repair_slopes(found)] == ["one", "two"]
    assert [node.input[1] for node in found.proto.graph.node] == ["s", "s"]


def test_a_slope_that_is_right_elsewhere_stays_there() -> None:
    body = "[one] h = PRelu(x, s) f = ReduceMean(h, axes) [two] y = PRelu(f, s)"
    constants = {"s": SLOPES, "axes": np.array([2, 3])}
    proto = model(body.replace("(h, axes)", "<keepdims=0>(h, axes)"), constants=constants,
                  outputs="float[N,3] y")  # fmt: skip
    found = OnnxModel(proto, None)
    assert [repair.node for repair in repair_slopes(found)] == ["one"]
    first, second = (node.input[1] for node in proto.graph.node if node.op_type == "PRelu")
    assert (_shape_of(found, first), _shape_of(found, second)) == ((3, 1, 1), (3,))


def test_bodies_are_repaired_too() -> None:
    proto = model("y = Identity(x)", constants={"s": SLOPES})
    node = helper.make_node("PRelu", ["x", "s"], ["e"], name="act")
    output = [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)]
    branch = helper.make_graph([node], "branch", [], output)
    proto.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(SLOPES, "s"))
    proto.graph.node[0].CopyFrom(
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    )
    found = OnnxModel(proto, None)
    assert len(repair_slopes(found)) == 2
    assert _shape(found) == (3, 1, 1)


def test_a_slope_that_is_listed_as_an_input_is_repaired() -> None:
    found = _model("N,3,4,5", SLOPES)
    found.proto.ir_version = 3
    listed = helper.make_tensor_value_info("s", TensorProto.FLOAT, [3])
    found.proto.graph.input.append(listed)
    repair_slopes(found)
    assert [value.name for value in found.proto.graph.input] == ["x"]
    assert found.proto.ir_version >= 4
    onnx.checker.check_model(found.proto)
