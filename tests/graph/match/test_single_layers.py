"""PReLU taken out of their graph, each in its own form; and slopes of other shapes as inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from graph_text import (
    COLUMN,
    FORMS,
    SLOPES,
    Array,
    initializers,
    matches,
    model,
    numbers,
    operators,
    run,
    view,
)
from onnx import TensorProto

from prelu_tools.graph.copies.instrument import single_layers, with_slopes_as_inputs
from prelu_tools.graph.match.recognise import find_prelus

TO_LAST = "Transpose<perm = [0, 2, 3, 1]>"


def _prelu(x: Array, slopes: Array) -> Array:
    return np.where(x > 0, x, x * slopes)


def _single(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    seen = view(proto)
    return single_layers([(n, seen, m) for n, m in zip(names, find_prelus(seen), strict=True)])


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_by_itself(form: str) -> None:
    body = re.sub(r"\bx\b", "before", FORMS[form])
    proto = model(f"before = Neg(x) {body}")
    before = proto.SerializeToString()
    (match,) = matches(proto)
    assert match.form == form
    copy = _single(proto, ["act"])
    assert proto.SerializeToString() == before
    assert [value.name for value in copy.graph.input] == ["act/x"]
    assert [value.name for value in copy.graph.output] == ["act/y"]
    assert sorted(operators(copy)) == sorted(operators(proto)[1:])  # its own nodes, and no others
    x = numbers(2, 3, 4, 5)
    (found,) = run(copy, **{"act/x": x})
    assert found.tobytes() == run(proto, x=-x)[0].tobytes()
    assert np.array_equal(found, _prelu(x, COLUMN))


def test_each_layer_has_an_input_of_its_own() -> None:
    proto = model("t = PRelu(x, a) u = Neg(t) y = PRelu(u, a_half)")
    copy = _single(proto, ["first", "second"])
    assert operators(copy) == ["PRelu", "PRelu"]
    x, z = numbers(2, 3, 4, 5), numbers(7, 3, 2, 2, seed=1)  # sizes are their own, too
    first, second = run(copy, **{"first/x": x, "second/x": z})
    assert np.array_equal(first, _prelu(x, COLUMN))
    assert np.array_equal(second, _prelu(z, COLUMN / 2))


def test_layers_may_read_each_other_and_share_their_constants() -> None:
    form = "{p} = Relu({x}) {n} = Neg({x}) {q} = Relu({n}) {s} = Mul({q}, a) {y} = Sub({p}, {s})"
    first = form.format(x="x", p="p", n="n", q="q", s="s", y="t")
    second = form.format(x="t", p="p2", n="n2", q="q2", s="s2", y="y")
    copy = _single(model(f"{first} {second}"), ["first", "second"])
    assert list(initializers(copy)) == ["a"]
    x, z = numbers(2, 3, 4, 5), numbers(2, 3, 4, 5, seed=1)
    found = run(copy, **{"first/x": x, "second/x": z})
    for y, wanted in zip(found, (x, z), strict=True):
        assert np.array_equal(y, _prelu(wanted, COLUMN))


def test_one_input_of_two_layers_is_two_inputs() -> None:
    proto = model("t = PRelu(x, a) u = PRelu(x, a_half) y = Add(t, u)")
    x, z = numbers(1, 3, 4, 5), numbers(1, 3, 4, 5, seed=1)
    first, second = run(_single(proto, ["f", "s"]), **{"f/x": x, "s/x": z})
    assert np.array_equal(first, _prelu(x, COLUMN))
    assert np.array_equal(second, _prelu(z, COLUMN / 2))


def test_slopes_of_a_constant_node_come_along() -> None:
    proto = model("c = Constant<value_floats = [0.5]>() t = PRelu(x, c) y = Neg(t)")
    copy = _single(proto, ["act"])
    assert operators(copy) == ["Constant", "PRelu"]
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(copy, **{"act/x": x})[0], _prelu(x, np.array([0.5], np.float32)))


def test_a_form_that_hides_a_transpose_keeps_it() -> None:
    elements = np.abs(numbers(4, 5, 3, seed=3))
    proto = model(
        f"p = Relu(x) t = {TO_LAST}(p) q = Min(x, zero) u = {TO_LAST}(q) s = Mul(u, e) "
        "y = Add(t, s)",
        outputs="float[N,4,5,3] y",
        constants={"e": elements},
    )
    x = numbers(2, 3, 4, 5)
    (found,) = run(_single(proto, ["act"]), **{"act/x": x})
    assert np.array_equal(found, _prelu(x.transpose(0, 2, 3, 1), elements))


def test_the_type_is_the_layers() -> None:
    proto = model(
        "y = PRelu(x, h)",
        inputs="float16[N,3] x",
        outputs="float16[N,3] y",
        constants={"h": SLOPES.astype(np.float16)},
    )
    copy = _single(proto, ["act"])
    kinds = [v.type.tensor_type.elem_type for v in [*copy.graph.input, *copy.graph.output]]
    assert kinds == [TensorProto.FLOAT16] * 2
    (found,) = run(copy, **{"act/x": -np.ones((1, 3), np.float16)})
    assert found.tolist() == [[-0.25, 0.5, -0.125]]


def test_names_are_unlike_though_layers_are_called_as_tensors_are() -> None:
    proto = model("t = PRelu(x, a) u = Neg(t) y = PRelu(u, a_half)")
    copy = _single(proto, ["x", "t"])
    x = numbers(1, 3, 4, 5)
    first, second = run(copy, **{"x/x": x, "t/x": x})
    assert np.array_equal(first, _prelu(x, COLUMN))
    assert np.array_equal(second, _prelu(x, COLUMN / 2))


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (1, 3, 1, 1), (5,), (3, 4, 5)])
def test_slopes_of_another_shape_can_be_fed(shape: tuple[int, ...]) -> None:
    proto = model("t = PRelu(x, a) y = Neg(t)")
    copy, (name,) = with_slopes_as_inputs(proto, [((), match) for match in matches(proto)])
    x, slopes = numbers(2, 3, 4, 5), numbers(*shape, seed=2)
    (found,) = run(copy, x=x, **{name: slopes})
    assert np.array_equal(found, -_prelu(x, slopes))


@pytest.mark.parametrize(
    "body",
    [
        # x is read as it is in one branch, and in another order in the other
        f"t = {TO_LAST}(h) c = GreaterOrEqual(t, zero) d = Not(c) m = Cast<to = 1>(c) "
        f"k = Cast<to = 1>(d) s = Mul(h, a) r = {TO_LAST}(s) u = Mul(m, t) v = Mul(k, r) "
        "y = Add(u, v)",
        f"p = Relu(h) t = {TO_LAST}(h) n = Neg(t) q = Relu(n) s = Mul(q, row) "
        "r = Transpose<perm = [0, 3, 1, 2]>(s) y = Add(p, r)",
    ],
)
def test_a_form_that_reads_its_input_in_two_orders(body: str) -> None:
    last = "Mul(h, a)" in body
    outputs = "float[N,4,5,3] y" if last else "float[N,3,4,5] y"
    proto = model(f"h = Abs(x) {body}", outputs=outputs, constants={"row": -SLOPES})
    seen = view(proto)
    (match,) = find_prelus(seen)
    assert (match.x, match.order) == ("h", (0, 2, 3, 1) if last else None)
    x = numbers(2, 3, 4, 5)
    (found,) = run(single_layers([("act", seen, match)]), **{"act/x": x})
    wanted = _prelu(x, COLUMN)
    assert np.array_equal(found, wanted.transpose(0, 2, 3, 1) if last else wanted)
