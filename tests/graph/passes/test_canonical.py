"""True slopes in the place of tags: shapes, initializers, names, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import (
    COLUMN,
    SLOPES,
    Array,
    initializers,
    layers,
    model,
    numbers,
    operators,
    run,
    whole,
)

from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.io.metadata import LAYER, PARAMETER, properties
from prelu_tools.graph.passes.canonical import fuse_prelus, settle_slopes

Dims = tuple[int, ...]


def _parameter(name: str, values: Array, n_calls: int = 1) -> SlopeParameter:
    """A slope tensor that its source lays along axis 1 of images."""
    indices = np.arange(values.size).reshape(1, -1, 1, 1)
    return SlopeParameter(name.removesuffix(".weight"), name, values, indices, n_calls)


def _tagged(
    body: str, parameters: Mapping[str, SlopeParameter], shapes: Mapping[str, Dims], *signature: str
) -> tuple[onnx.ModelProto, TagBook]:
    """A graph whose constants named in `shapes` hold the tags of the parameters of these keys."""
    book = TagBook()
    tags = {key: book.tag(key, parameter.values.shape) for key, parameter in parameters.items()}
    constants = {key: tags[key].reshape(shape) for key, shape in shapes.items()}
    return model(body, *signature, constants=constants), book


def _settled(
    body: str, parameters: Mapping[str, SlopeParameter], shapes: Mapping[str, Dims], *signature: str
) -> onnx.ModelProto:
    proto, book = _tagged(body, parameters, shapes, *signature)
    settle_slopes(whole(proto), book, parameters)
    return proto


def _prelus(proto: onnx.ModelProto) -> list[tuple[str, str]]:
    """The name and the slope of each PRelu node."""
    return [(n.name, n.input[1]) for n in proto.graph.node if n.op_type == "PRelu"]


def test_a_tag_gives_way_to_the_true_slopes() -> None:
    values = np.array([0.1, np.nan, -0.0], np.float32)
    proto = _settled("y = PRelu(x, s)", {"s": _parameter("act.weight", values)}, {"s": (3, 1, 1)})
    assert _prelus(proto) == [("act", "act.weight")]
    assert list(initializers(proto)) == ["act.weight"]
    assert same_bits(initializers(proto)["act.weight"], values.reshape(3, 1, 1))
    (node,) = proto.graph.node
    assert properties(node)[LAYER] == "act"
    assert properties(node)[PARAMETER] == "act.weight"


def test_the_elements_go_where_the_converter_put_them() -> None:
    parameter = _parameter("w", SLOPES)
    tags = TagBook().tag("k", (3,))[[2, 0, 1]].reshape(3, 1, 1)
    proto = model("y = PRelu(x, s)", constants={"s": tags})
    book = TagBook()
    book.tag("k", (3,))
    settle_slopes(whole(proto), book, {"k": parameter})
    assert initializers(proto)["w"].ravel().tolist() == SLOPES[[2, 0, 1]].tolist()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_values_keep_their_own_type(dtype: str) -> None:
    parameter = _parameter("w", SLOPES.astype(dtype))
    proto = _settled("y = PRelu(x, s)", {"s": parameter}, {"s": (3, 1, 1)})
    assert initializers(proto)["w"].dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("input_shape", "count", "tag_shape", "stored"),
    [
        ("N,3", 3, (1, 3), (3,)),
        ("N,3", 3, (3,), (3,)),
        ("N,3", 1, (1, 1), (1,)),
        ("N,7,3", 3, (1, 1, 3), (1, 1, 3)),
        ("N,7,3", 3, (3,), (1, 1, 3)),
        ("N,3,7", 3, (1, 3, 1), (3, 1)),
        ("N,3,4,5", 3, (1, 3, 1, 1), (3, 1, 1)),
        ("N,3,4,5", 1, (1, 1, 1, 1), (1,)),
        ("N,4,5,3", 3, (1, 1, 1, 3), (1, 1, 3)),
        ("N,3,4,5", 60, (1, 3, 4, 5), (3, 4, 5)),
        ("N,3,4,5,6", 3, (1, 3, 1, 1, 1), (3, 1, 1, 1)),
        ("N,4,5,6,3", 3, (3,), (1, 3)),
        ("N,3,4,5", 1, (), (1,)),
    ],
)
def test_a_slope_has_the_shape_that_is_right_in_most_runtimes(
    input_shape: str, count: int, tag_shape: Dims, stored: Dims
) -> None:
    values = numbers(count, seed=2)
    signature = f"float[{input_shape}] x", f"float[{input_shape}] y"
    proto = _settled(
        "y = PRelu(x, s)", {"s": _parameter("w", values)}, {"s": tag_shape}, *signature
    )
    assert initializers(proto)["w"].shape == stored
    assert initializers(proto)["w"].ravel().tolist() == values.tolist()
    sizes = [2 if size == "N" else int(size) for size in input_shape.split(",")]
    x = numbers(*sizes)
    expected = np.where(x > 0, x, x * values.reshape(tag_shape))
    assert np.array_equal(run(proto, x=x)[0], expected)


def test_two_parameters_of_equal_value_have_an_initializer_each() -> None:
    parameters = {key: _parameter(f"{key}.weight", SLOPES) for key in "ab"}
    proto = _settled(
        "t = PRelu(x, a) y = PRelu(t, b)", parameters, {"a": (3, 1, 1), "b": (3, 1, 1)}
    )
    assert _prelus(proto) == [("a", "a.weight"), ("b", "b.weight")]
    assert list(initializers(proto)) == ["a.weight", "b.weight"]


def test_calls_of_one_parameter_share_an_initializer_and_are_numbered() -> None:
    parameter = _parameter("act.weight", SLOPES, n_calls=3)
    body = "t = PRelu(x, s) u = PRelu(t, s) y = PRelu(u, s)"
    proto = _settled(body, {"s": parameter}, {"s": (3, 1, 1)})
    assert _prelus(proto) == [(name, "act.weight") for name in ("act", "act_1", "act_2")]
    assert list(initializers(proto)) == ["act.weight"]
    (layer,) = layers(proto)
    assert (layer.name, layer.nodes, layer.same_instance) == (
        "act",
        ("act", "act_1", "act_2"),
        True,
    )


BOTH_RANKS = (
    "t = PRelu(x, s) u = Transpose<perm = [0, 2, 3, 1]>(t) v = Reshape(u, rows) flat = Squeeze(s) "
    "y = PRelu(v, flat)"
)
ROWS = {"rows": np.array([-1, 3])}


def _both_ranks(*extra: SlopeParameter) -> onnx.ModelProto:
    parameters = {"s": _parameter("w", SLOPES, 2), **{p.layer: p for p in extra}}
    book = TagBook()
    tags = {key: book.tag(key, p.values.shape).reshape(3, 1, 1) for key, p in parameters.items()}
    before = "".join(f"x_{key} = PRelu(x, {key}) " for key in tags if key != "s")
    body = before + (BOTH_RANKS.replace("PRelu(x, s)", "PRelu(x_k, s)") if before else BOTH_RANKS)
    proto = model(body, "float[2,3,4,5] x", "float[40,3] y", {**ROWS, **tags})
    settle_slopes(whole(proto), book, parameters)
    return proto


def test_calls_at_two_ranks_have_an_initializer_of_each_shape() -> None:
    proto = _both_ranks()
    assert [slope for _, slope in _prelus(proto)] == ["w", "w_1"]
    assert {name: v.shape for name, v in initializers(proto).items() if name != "rows"} == {
        "w": (3, 1, 1),
        "w_1": (3,),
    }


def test_calls_at_two_ranks_are_one_layer() -> None:
    (layer,) = layers(_both_ranks())
    assert (layer.name, layer.nodes, layer.same_instance) == ("w", ("w", "w_1"), True)


def test_the_initializer_of_a_second_shape_does_not_take_the_place_of_another() -> None:
    other = SlopeParameter("k", "w_1", SLOPES + 1, np.arange(3).reshape(1, 3, 1, 1), 1)
    proto = _both_ranks(other)
    x = numbers(2, 3, 4, 5)
    twice = np.where(x > 0, x, x * (COLUMN + 1))
    for _ in range(2):
        twice = np.where(twice > 0, twice, twice * COLUMN)
    expected = twice.transpose(0, 2, 3, 1).reshape(40, 3)
    assert np.array_equal(run(proto, x=x)[0], expected)


def test_the_second_node_of_a_layer_does_not_take_the_name_of_another() -> None:
    parameters = {"s": _parameter("act", SLOPES, 2), "k": _parameter("act_1", SLOPES, 1)}
    body = "t = PRelu(x, s) u = PRelu(t, k) y = PRelu(u, s)"
    proto = _settled(body, parameters, {"s": (3, 1, 1), "k": (3, 1, 1)})
    names = [name for name, _ in _prelus(proto)]
    assert len(set(names)) == 3
    assert run(proto, x=numbers(2, 3, 4, 5))[0].shape == (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("t = PRelu(x, s) y = Relu(t)", "called 2 times, 1 PRelu nodes"),
        ("t = Mul(x, s) y = Relu(t)", "called 2 times, 0 PRelu nodes"),
        ("t = PRelu(x, s) u = PRelu(t, s) y = PRelu(u, s)", "called 2 times, 3 PRelu nodes"),
        ("r = Relu(x) n = Neg(x) q = Relu(n) k = Mul(q, s) t = Sub(r, k) y = PRelu(t, s)",
         "called 2 times, 1 PRelu nodes"),
        ("n = Neg(s) t = PRelu(x, n) y = PRelu(t, s)", "called 2 times, 1 PRelu nodes"),
    ],
)  # fmt: skip
def test_a_call_that_became_something_else_is_an_error(body: str, found: str) -> None:
    parameters = {"s": _parameter("block.act.weight", SLOPES, 2)}
    proto, book = _tagged(body, parameters, {"s": (3, 1, 1)})
    with pytest.raises(PReLUToolsError, match=rf"an unknown form: block.act \({found}\)"):
        settle_slopes(whole(proto), book, parameters)


def test_every_layer_that_is_missing_is_named() -> None:
    parameters = {key: _parameter(f"{key}.weight", SLOPES) for key in ("k", "s", "t")}
    proto, book = _tagged("y = PRelu(x, s)", parameters, {"s": (3, 1, 1)})
    with pytest.raises(PReLUToolsError, match=r": k \(.*, t \(") as caught:
        settle_slopes(whole(proto), book, parameters)
    assert "s (" not in str(caught.value)


def test_slopes_that_were_never_learned_stay() -> None:
    parameters = {"s": _parameter("act", SLOPES)}
    proto = _settled("t = PRelu(x, half) y = PRelu(t, s)", parameters, {"s": (3, 1, 1)})
    assert _prelus(proto) == [("", "half"), ("act", "act")]
    assert set(initializers(proto)) == {"half", "act"}


@pytest.mark.parametrize("taken", ["half", "a"])
def test_an_initializer_that_was_called_like_a_slope_makes_room(taken: str) -> None:
    parameters = {"s": _parameter(taken, 2 * SLOPES)}
    proto = _settled(f"t = Mul(x, {taken}) y = PRelu(t, s)", parameters, {"s": (3, 1, 1)})
    x = numbers(2, 3, 4, 5)
    t = x * {"half": np.float32(0.5), "a": COLUMN}[taken]
    assert initializers(proto)[taken].ravel().tolist() == (2 * SLOPES).tolist()
    assert np.array_equal(run(proto, x=x)[0], np.where(t > 0, t, t * 2 * COLUMN))


def test_a_tag_that_has_the_name_of_its_parameter_needs_no_room() -> None:
    proto = _settled("y = PRelu(x, s)", {"s": _parameter("s", SLOPES)}, {"s": (3, 1, 1)})
    assert {name: v.ravel().tolist() for name, v in initializers(proto).items()} == {
        "s": SLOPES.tolist()
    }


@pytest.mark.parametrize(
    ("order", "shape", "axes"),
    [((0, 1, 2, 3), "N,3,4,5", "0,1,2,3"), ((0, 2, 3, 1), "N,4,5,3", "0,2,3,1")],
)
def test_how_the_axes_moved_is_noted(order: Dims, shape: str, axes: str) -> None:
    values = numbers(60, seed=3)
    parameter = SlopeParameter("act", "act", values, np.arange(60).reshape(1, 3, 4, 5), 1)
    tags = TagBook().tag("s", (60,)).reshape(1, 3, 4, 5).transpose(order)
    book = TagBook()
    book.tag("s", (60,))
    proto = model("y = PRelu(x, s)", f"float[{shape}] x", f"float[{shape}] y", {"s": tags})
    settle_slopes(whole(proto), book, {"s": parameter})
    assert properties(proto.graph.node[0])["prelu_tools.axes"] == axes
    assert layers(proto)[0].axes == order


def test_axes_that_nothing_tells_are_not_noted() -> None:
    parameter = SlopeParameter("act", "act", SLOPES[:1], np.zeros((1, 1, 1, 1), np.int64), 1)
    proto = _settled("y = PRelu(x, s)", {"s": parameter}, {"s": (1,)})
    assert "prelu_tools.axes" not in properties(proto.graph.node[0])


def test_only_what_is_wanted_is_fused() -> None:
    body = "s = Mul(x, half) t = Max(x, s) p = Relu(t) q = Min(t, zero) r = Mul(q, a) y = Add(p, r)"
    proto = model(body)
    fuse_prelus(whole(proto), lambda match: match.form == "max")
    assert operators(proto) == ["PRelu", "Relu", "Min", "Mul", "Add"]


def test_nodes_that_others_use_stay() -> None:
    body = "p = Relu(x) q = Min(x, zero) s = Mul(q, a) t = Add(p, s) y = Add(t, q)"
    proto = model(body)
    x = numbers(2, 3, 4, 5)
    before = run(proto, x=x)[0]
    fuse_prelus(whole(proto), lambda _: True)
    assert operators(proto) == ["Min", "PRelu", "Add"]
    assert np.array_equal(run(proto, x=x)[0], before)


def test_a_fused_node_keeps_the_name_and_the_notes_of_the_form() -> None:
    proto = model("p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)")
    proto.graph.node[3].name = "block/act"
    proto.graph.node[3].metadata_props.add(key="note", value="kept")
    fuse_prelus(whole(proto), lambda _: True)
    (node,) = proto.graph.node
    assert (node.name, properties(node), node.output) == ("block/act", {"note": "kept"}, ["y"])


def test_forms_can_be_fused_in_two_passes() -> None:
    body = "s = Mul(x, half) t = Max(x, s) p = Relu(t) q = Min(t, zero) r = Mul(q, a) y = Add(p, r)"
    proto = model(body)
    x = numbers(2, 3, 4, 5)
    before = run(proto, x=x)[0]
    fuse_prelus(whole(proto), lambda match: match.form == "max")
    fuse_prelus(whole(proto), lambda match: match.form == "max_min")
    assert len(initializers(proto)) == len(proto.graph.initializer) == 2
    assert np.array_equal(run(proto, x=x)[0], before)
