"""Transposes move through what acts on each element, and cancel; what is computed stays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import Array, initializers, model, numbers, operators, run
from onnx import checker, shape_inference

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.cleaning.sinking import reduce_before_transposing, sink_transposes

LAST = "float[N,4,5,3]"
IN, OUT = "<perm=[0,3,1,2]>", "<perm=[0,2,3,1]>"
ROW = np.array([0.25, -0.5, 0.125], np.float32)
CONSTANTS: Mapping[str, Array | float] = {
    "row": ROW,
    "plane": (np.arange(60) / 8).reshape(4, 5, 3).astype(np.float32),
    "low": np.float32(-1.0),
    "high": np.float32(1.0),
    "twos": np.full((3, 3, 1, 1), 2, np.float32),
    "flat": np.array([0, -1]),
    "last": np.array([1, 2]),
}


def _sunk(
    body: str,
    inputs: str = f"{LAST} x",
    outputs: str = f"{LAST} y",
) -> onnx.ModelProto:
    """The graph after a pass, which computes what it did before."""
    original = shape_inference.infer_shapes(model(body, inputs, outputs, CONSTANTS))
    found = OnnxModel(onnx.ModelProto.FromString(original.SerializeToString()), None)
    sink_transposes(found)
    checker.check_model(found.proto, full_check=True)
    stated = [value.name for value in found.proto.graph.value_info]
    assert len(set(stated)) == len(stated)
    feeds = {
        value.name: numbers(2, 4, 5, 3, seed=i) for i, value in enumerate(found.proto.graph.input)
    }
    for before, after in zip(run(original, **feeds), run(found.proto, **feeds), strict=True):
        assert np.array_equal(before, after)
    return found.proto


@pytest.mark.parametrize(
    ("between", "left"),
    [
        ("m = PRelu(l, row)", ["PRelu"]),
        ("m = PRelu(l, plane)", ["PRelu"]),
        ("b = Add(l, row) r = Relu(b) m = Mul(plane, r)", ["Add", "Relu", "Mul"]),
        ("m = Clip(l, low, high)", ["Clip"]),
        ("h = Sub(l, row) m = Add(h, l)", ["Sub", "Add"]),
        ("m = Softmax<axis=-1>(l)", ["Softmax"]),
        ("m = Where(p, l, n) ", ["Neg", "Where"]),
    ],
)
def test_what_stands_between_two_convolutions_needs_no_transpose(
    between: str, left: list[str]
) -> None:
    between = between.replace("m = Where(p,", "n = Neg(l) p = Greater(l, row) m = Where(p,")
    left = ["Greater", *left] if "Greater" in between else left
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) {between} "
        f"s = Transpose{IN}(m) d = Conv(s, twos) y = Transpose{OUT}(d)"
    )
    kinds = operators(_sunk(body))
    assert sorted(kinds) == sorted(["Transpose", "Conv", *left, "Conv", "Transpose"])


def test_slopes_are_laid_in_the_order_of_the_new_input() -> None:
    body = f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) y = PRelu(l, row)"
    found = _sunk(body)
    (node,) = (node for node in found.graph.node if node.op_type == "PRelu")
    assert initializers(found)[node.input[1]].shape == (1, 3, 1, 1)


def test_a_shortcut_joins_in_between() -> None:
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) p = PRelu(l, row) "
        f"s = Transpose{IN}(p) d = Conv(s, twos) e = Transpose{OUT}(d) j = Add(e, p) "
        f"k = Concat<axis=3>(j, p) u = Transpose{IN}(k) y = Relu(u)"
    )
    found = _sunk(body, outputs="float[N,6,4,5] y")
    assert operators(found).count("Transpose") == 1
    (concat,) = (node for node in found.graph.node if node.op_type == "Concat")
    assert concat.attribute[0].i == 1


def test_what_needs_the_order_gets_one_transpose_for_all_who_read_it() -> None:
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) p = PRelu(l, row) "
        "y = Reshape(p, flat) z = ReduceMean<keepdims=0>(p, last)"
    )
    found = _sunk(body, outputs="float[N,60] y, float[N,3] z")
    assert operators(found).count("Transpose") == 2


def test_a_size_is_read_before_the_transpose() -> None:
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) "
        "n = Shape<start=0, end=1>(l) h = Shape<start=3>(l) "
        f"s = Transpose{IN}(l) y = Relu(s)"
    )
    found = _sunk(body, outputs="float[N,3,4,5] y, int64[1] n, int64[1] h")
    assert operators(found).count("Transpose") == 2  # of the input, and for the open end


@pytest.mark.parametrize(
    ("body", "outputs", "kinds"),
    [
        # Two names of one tensor are both outputs, one of them an input of the graph.
        (f"t = Transpose{IN}(x) y = Transpose{OUT}(t)", f"{LAST} y", ["Identity"]),
        (
            f"t = Transpose{IN}(x) c = Relu(t) l = Transpose{OUT}(c) y = Transpose{IN}(l) "
            f"z = Transpose{IN}(l)",
            "float[N,3,4,5] y, float[N,3,4,5] z",
            ["Transpose", "Relu", "Identity"],
        ),
    ],
)
def test_outputs_keep_their_names(body: str, outputs: str, kinds: list[str]) -> None:
    found = _sunk(body, outputs=outputs)
    assert sorted(operators(found)) == sorted(kinds)


def test_another_input_is_turned_where_that_costs_no_more() -> None:
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) j = Add(l, w) "
        f"s = Transpose{IN}(j) d = Conv(s, twos) y = Transpose{OUT}(d)"
    )
    found = _sunk(body, inputs=f"{LAST} x, {LAST} w")
    assert operators(found).count("Transpose") == 3


def test_a_graph_that_would_get_more_of_them_stays_as_it_is() -> None:
    body = f"t = Transpose{IN}(x) j = Add(t, v) k = Mul(j, w) y = Neg(k)"
    first = "float[N,3,4,5]"
    original = model(body, f"{LAST} x, {first} v, {first} w", f"{first} y")
    found = OnnxModel(onnx.ModelProto.FromString(original.SerializeToString()), None)
    sink_transposes(found)
    assert found.proto == original


def test_the_batch_is_not_moved_through_a_layer() -> None:
    body = "t = Transpose<perm=[1,0,2,3]>(x) y = PRelu(t, row)"
    assert operators(_sunk(body, outputs="float[4,N,5,3] y")) == ["Transpose", "PRelu"]


def test_a_tensor_that_a_body_reads_is_there() -> None:
    body = (
        f"t = Transpose{IN}(x) c = Conv(t, twos) l = Transpose{OUT}(c) r = Abs(l) "
        "m = ReduceMax<keepdims=0>(r) p = Greater(m, low) "
        f"y = If(p) <then_branch = yes () => ({LAST} then) {{ then = Neg(r) }}, "
        f"else_branch = no () => ({LAST} other) {{ other = Identity(r) }}>"
    )
    assert operators(_sunk(body)).count("Transpose") == 2


def test_a_transpose_keeps_its_name() -> None:
    body = f"[turn] t = Transpose{IN}(x) c = Conv(t, twos) [back] y = Transpose{OUT}(c)"
    names = [node.name for node in _sunk(body).graph.node if node.op_type == "Transpose"]
    assert names == ["turn", "back"]


@pytest.mark.parametrize(
    ("axes", "keepdims", "left"),
    [([2, 3], 0, 0), ([1], 0, 0), ([2], 0, 1), ([-1, 1], 0, 0), ([2, 3], 1, 1), ([1, 2, 3], 1, 1)],
)
@pytest.mark.parametrize("opset", [17, 18])
def test_a_reduction_comes_before_the_transpose(
    axes: list[int], keepdims: int, left: int, opset: int
) -> None:
    x = numbers(2, 4, 5, 3)
    wanted = x.transpose(0, 3, 1, 2).max(axis=tuple(axes), keepdims=bool(keepdims))
    reduced = (
        f"<axes={axes}, keepdims={keepdims}>(t)" if opset < 18 else f"<keepdims={keepdims}>(t, by)"
    )
    original = model(
        f"t = Transpose{IN}(x) y = ReduceMax{reduced}", "float[2,4,5,3] x",
        f"float{list(wanted.shape)} y", {"by": np.array(axes)}, opset=opset,
    )  # fmt: skip
    found = OnnxModel(original, None)
    reduce_before_transposing(found)
    checker.check_model(found.proto, full_check=True)
    assert np.array_equal(run(found.proto, x=x)[0], wanted)
    first, *others = operators(found.proto)
    assert (first, others) == ("ReduceMax", ["Transpose"] * left)


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (f"t = Transpose{IN}(x) y = ReduceMax<keepdims=0>(t, height) z = Neg(t)",
         "float[N,3,5] y, float[N,3,4,5] z"),
        (f"t = Transpose{IN}(x) y = ReduceMax<keepdims=0>(t, height)",
         "float[N,3,5] y, float[N,3,4,5] t"),
        (f"t = Transpose{IN}(x) y = ReduceMax<keepdims=0>(t)", "float y"),
    ],
    ids=["read by another", "an output", "along all axes"],
)  # fmt: skip
def test_a_reduction_stays_behind_a_transpose(body: str, outputs: str) -> None:
    found = OnnxModel(model(body, f"{LAST} x", outputs, {"height": np.array([2])}), None)
    before = [(node.op_type, *node.input) for node in found.proto.graph.node]
    reduce_before_transposing(found)
    assert [(node.op_type, *node.input) for node in found.proto.graph.node] == before
