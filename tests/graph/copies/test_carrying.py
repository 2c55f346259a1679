"""Tensors of bodies as outputs: each value that they take, however deep they are."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from graph_text import IMAGE, model, numbers
from onnx import TensorProto

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.copies.carrying import TensorPlace, body_at, carry_out, path_of
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.view import all_views

INNER = (
    f"y = If (c) <then_branch = yes () => ({IMAGE} u) {{ u = PRelu(x, a) }}, "
    f"else_branch = no () => ({IMAGE} w) {{ w = Neg(x) }}>"
)
# In a loop of four turns a branch that is taken in turns 1 and 3.
NESTED = (
    f"y = Loop (four, , x) <body = turn (int64 i, bool c, {IMAGE} s) => (bool d, {IMAGE} r) {{ "
    f"d = Identity(yes) m = Mod(i, pair) q = Cast<to = 9>(m) n = Neg(s) r = If (q) <then_branch = "
    f"odd () => ({IMAGE} u) {{ u = PRelu(n, a) }}, else_branch = even () => ({IMAGE} w) "
    "{ w = Mul(n, two) }> }>"
)
SCANNED = (
    "y = Scan <num_scan_inputs = 1, body = turn (float[3,4,5] s) => (float[3,4,5] r) "
    "{ r = PRelu(s, a) }> (x)"
)
CONSTANTS = {"four": np.array(4, np.int64), "pair": np.array(2, np.int64), "yes": np.array(True)}


def _places(proto: onnx.ModelProto, *names: str) -> list[TensorPlace]:
    """The tensors with these names, each in the body that makes it."""
    found = {}
    for view in all_views(OnnxModel(proto, None)):
        path = path_of(view)
        for node in view.graph.node:
            if path is not None and node.output[0] in names:
                found[node.output[0]] = TensorPlace(path, node.output[0], TensorProto.FLOAT)
    return [found[name] for name in names]


def _values(proto: onnx.ModelProto, *names: str, **feeds: Array) -> list[list[Array]]:
    copy = onnx.ModelProto.FromString(proto.SerializeToString())
    outputs = carry_out(copy.graph, _places(proto, *names))
    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    own = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *found = session.run(["y", *outputs], feeds)
    assert np.array_equal(y, own.run(["y"], feeds)[0])
    return found


@pytest.mark.parametrize("opset", [13, 18])
def test_a_branch_gives_one_value_where_it_is_taken(opset: int) -> None:
    proto = model(INNER, inputs=f"{IMAGE} x, bool c", opset=opset)
    x = numbers(2, 3, 4, 5)
    (u,), w = _values(proto, "u", "w", x=x, c=np.array(True))
    assert w == []
    assert (u < 0).any()
    u_of_no, (w_of_no,) = _values(proto, "u", "w", x=x, c=np.array(False))
    assert u_of_no == []
    assert np.array_equal(w_of_no, -x)


@pytest.mark.parametrize("opset", [13, 18])
def test_a_loop_gives_one_value_a_turn_and_a_branch_in_it_fewer(opset: int) -> None:
    proto = model(NESTED, constants=CONSTANTS, opset=opset)
    x = numbers(2, 3, 4, 5)
    turns, odd, even = _values(proto, "n", "u", "w", x=x)
    assert [len(turns), len(odd), len(even)] == [4, 2, 2]
    assert np.array_equal(turns[0], -x)
    assert np.array_equal(even[0], -2 * x)
    assert np.array_equal(turns[1], 2 * x)
    assert np.array_equal(turns[2], -odd[0])


def test_what_bodies_cannot_be_looked_into() -> None:
    for proto in (
        model(SCANNED, inputs="float[2,3,4,5] x", outputs="float[2,3,4,5] y"),
        model(INNER, inputs=f"{IMAGE} x, bool c", opset=12),
    ):
        _, *inside = all_views(OnnxModel(proto, None))
        assert [path_of(view) for view in inside] == [None] * len(inside)


def test_paths_lead_to_the_body_in_a_copy() -> None:
    proto = model(NESTED, constants=CONSTANTS)
    copy = onnx.ModelProto.FromString(proto.SerializeToString())
    names = [
        body_at(copy.graph, path_of(view) or ()).name for view in all_views(OnnxModel(proto, None))
    ]
    assert names[1:] == ["turn", "odd", "even"]


def test_a_loop_whose_outputs_are_not_its_bodys_is_refused() -> None:
    proto = model(NESTED, constants=CONSTANTS)
    places = _places(proto, "n")
    proto.graph.node[0].output.append("more")
    with pytest.raises(PReLUToolsError, match="has other outputs than its body"):
        carry_out(proto.graph, places)
