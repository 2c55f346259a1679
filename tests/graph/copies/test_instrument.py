"""Copies of a graph with tensors from inside it as outputs, and with slopes as inputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, initializers, matches, model, numbers, operators
from graph_text import run as run_graph
from onnx import numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.graph.copies.carrying import BodyPath
from prelu_tools.graph.copies.instrument import tapped, tensor_bytes, with_slopes_as_inputs
from prelu_tools.graph.match.recognise import Match

CHAIN = "t = PRelu(x, a) u = Neg(t) y = PRelu(u, a_half)"
TO_LAST = "Transpose<perm = [0, 2, 3, 1]>"
UNKNOWN = 16 << 20


def run(proto: onnx.ModelProto, **feeds: Array) -> list[Array]:
    return list(run_graph(proto, **feeds))


def _calls(proto: onnx.ModelProto) -> list[tuple[BodyPath, Match]]:
    return [((), match) for match in matches(proto)]


def _prelu(x: Array, slopes: Array) -> Array:
    return np.where(x > 0, x, x * slopes)


# Taps


def test_tensors_from_inside_become_outputs_behind_the_old_ones() -> None:
    proto = model(CHAIN)
    before = proto.SerializeToString()
    copy = tapped(proto, ["x", "t", "u", "t"])
    assert [value.name for value in copy.graph.output] == ["y", "x", "t", "u"]
    assert proto.SerializeToString() == before
    x = numbers(2, 3, 4, 5)
    y, found_x, t, u = run(copy, x=x)
    assert np.array_equal(found_x, x)
    assert np.array_equal(t, _prelu(x, SLOPES.reshape(3, 1, 1)))
    assert np.array_equal(u, -t)
    assert np.array_equal(y, _prelu(u, SLOPES.reshape(3, 1, 1) / 2))


def test_what_is_an_output_already_is_not_one_twice() -> None:
    copy = tapped(model(CHAIN), ["y"])
    assert [value.name for value in copy.graph.output] == ["y"]


# Slopes as inputs


@pytest.mark.parametrize(
    "body",
    [
        CHAIN,
        "n = Neg(x) q = Relu(n) r = Mul(q, a) p = Relu(x) t = Sub(p, r) u = Neg(t) "
        "y = PRelu(u, a_half)",
    ],
    ids=["nodes", "a form"],
)
def test_slopes_that_are_fed_take_effect(body: str) -> None:
    proto = model(body)
    before = proto.SerializeToString()
    copy, names = with_slopes_as_inputs(proto, _calls(proto))
    assert proto.SerializeToString() == before
    assert [value.name for value in copy.graph.input] == ["x", *names]
    assert operators(copy) == ["PRelu", "Neg", "PRelu"]
    assert initializers(copy) == {}
    x = numbers(2, 3, 4, 5)
    own = [match.slopes for match in matches(proto)]
    (same,) = run(copy, x=x, **dict(zip(names, own, strict=True)))
    assert np.array_equal(same, run(proto, x=x)[0])
    for place in (0, 1):
        other = [slopes + 1 if place == k else slopes for k, slopes in enumerate(own)]
        (found,) = run(copy, x=x, **dict(zip(names, other, strict=True)))
        assert np.array_equal(found, _prelu(-_prelu(x, other[0]), other[1]))
        assert not np.array_equal(found, same)


def test_calls_of_one_layer_are_fed_apart() -> None:
    proto = model("t = PRelu(x, a) u = Neg(t) y = PRelu(u, a)")
    copy, (first, second) = with_slopes_as_inputs(proto, _calls(proto))
    x, a = numbers(2, 3, 4, 5), SLOPES.reshape(1, 3, 1, 1)
    (found,) = run(copy, x=x, **{first: a, second: 2 * a})
    assert np.array_equal(found, _prelu(-_prelu(x, a), 2 * a))


def test_only_what_is_asked_for_is_replaced() -> None:
    proto = model(CHAIN)
    copy, names = with_slopes_as_inputs(proto, _calls(proto)[1:])
    assert len(names) == 1
    assert [node.input[1] for node in copy.graph.node if node.op_type == "PRelu"] == ["a", *names]
    unchanged, none = with_slopes_as_inputs(proto, [])
    assert (unchanged.SerializeToString(), none) == (proto.SerializeToString(), ())


def test_a_form_that_hides_a_transpose_keeps_it() -> None:
    elements = numbers(4, 5, 3, seed=3)
    proto = model(
        f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) u = {TO_LAST}(q) s = Mul(u, e) "
        "y = Add(t, s)",
        outputs="float[N,4,5,3] y",
        constants={"e": elements},
    )
    copy, (name,) = with_slopes_as_inputs(proto, _calls(proto))
    assert operators(copy)[-2:] == ["PRelu", "Transpose"]
    x = numbers(2, 3, 4, 5)
    (found,) = run(copy, x=x, **{name: 2 * elements.transpose(2, 0, 1)[None]})
    assert np.array_equal(found, _prelu(x.transpose(0, 2, 3, 1), 2 * elements))


def test_slopes_of_half_precision_are_fed_as_such() -> None:
    proto = model(
        "y = PRelu(x, h)",
        inputs="float16[N,3] x",
        outputs="float16[N,3] y",
        constants={"h": SLOPES.astype(np.float16)},
    )
    copy, (name,) = with_slopes_as_inputs(proto, _calls(proto))
    assert copy.graph.input[1].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    x = np.array([[-1, -1, -1]], np.float16)
    (found,) = run(copy, x=x, **{name: np.array([[1, 2, 3]], np.float16)})
    assert found.tolist() == [[-1, -2, -3]]


# Sizes


def test_sizes_are_those_for_the_inputs_given() -> None:
    proto = model(f"h = Cast<to = 10>(x) u = {TO_LAST}(h) y = Neg(x)")
    before = proto.SerializeToString()
    assert tensor_bytes(proto, {"x": (7, 3, 4, 5)}, ["x", "u", "y"]) == [
        7 * 60 * 4, 7 * 60 * 2, 7 * 60 * 4
    ]  # fmt: skip
    assert proto.SerializeToString() == before


def test_sizes_that_the_file_states_are_not_believed() -> None:
    proto = model("t = Neg(x) y = Neg(t)", inputs="float[1,3,4,5] x", outputs="float[1,3,4,5] y")
    stale = onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, [1, 3, 4, 5])
    proto.graph.value_info.append(stale)
    assert tensor_bytes(proto, {"x": (9, 3, 4, 5)}, ["t", "y"]) == [9 * 240, 9 * 240]


def test_a_size_that_is_not_known_is_taken_for_a_large_one() -> None:
    proto = model("t = custom.What(x) y = Relu(t)", outputs="float[N,M] y")
    assert tensor_bytes(proto, {"x": (2, 3, 4, 5)}, ["t", "y", "other"]) == [UNKNOWN] * 3
    free = model("t = Neg(x) y = Neg(t)")
    assert tensor_bytes(free, {}, ["t"]) == [UNKNOWN]


def test_a_graph_that_contradicts_itself_has_sizes_too() -> None:
    proto = model("t = Add(x, wrong) y = Neg(t)", constants={"wrong": np.ones(7, np.float32)})
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "unused"))
    found = tensor_bytes(proto, {"x": (2, 3, 4, 5)}, ["x", "t"])
    assert found[0] == 2 * 60 * 4
    assert found[1] > 0
