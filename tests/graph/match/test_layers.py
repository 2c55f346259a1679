"""Which PReLUs of a graph are one layer, what it is called, and what stands before it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, SLOPES, Array, layers, model, numbers

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.metadata import describe_layer

TORCH = "pkg.torch.onnx.name_scopes"
TWICE = "t = PRelu(x, a) y = PRelu(t, a)"


def _named(proto: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    for node, name in zip(proto.graph.node, names, strict=True):
        node.name = name
    return proto


def _scoped(proto: onnx.ModelProto, *scopes: str) -> onnx.ModelProto:
    for node, scope in zip(proto.graph.node, scopes, strict=True):
        node.metadata_props.add(key=TORCH, value=scope)
    return proto


AGAIN = (
    "c = {}(x, a, a) d = {}(x, a, a) e = {}(x, a, a) "
    "s = Mul(d, a) k = Greater(c, zero) y = Where(k, e, s)"
)


def test_what_is_computed_again_in_the_same_way_is_one_value() -> None:
    norm, other = "InstanceNormalization", "InstanceNormalization<epsilon = 0.1>"
    (layer,) = layers(model(AGAIN.format(norm, norm, norm)))
    assert layer.slopes.ravel().tolist() == SLOPES.tolist()
    assert layers(model(AGAIN.format(norm, other, norm))) == ()
    assert layers(model(AGAIN.format(norm, norm, other))) == ()


def test_two_calls_on_one_input_stay_two() -> None:
    call = "{0} = Relu(x) {1} = Neg(x) {2} = Relu({1}) {3} = Mul({2}, a) {4} = Sub({0}, {3})"
    body = f"{call.format(*'pqrst')} {call.format(*'uvwzm')} y = Concat<axis = 1>(t, m)"
    (layer,) = layers(model(body))
    assert layer.nodes == ("t", "m")


def test_a_layer_in_full() -> None:
    (layer,) = layers(_named(model("y = PRelu(x, a)"), "act"))
    assert (layer.name, layer.nodes, layer.form, layer.parameter) == ("a", ("act",), "prelu", None)
    assert (layer.input_shape, layer.stored_shape) == ((None, 3, 4, 5), (3, 1, 1))
    assert np.array_equal(layer.slopes, SLOPES.reshape(1, 3, 1, 1))
    assert not layer.slopes.flags.writeable
    assert (layer.preceding_parameters, layer.same_instance, layer.axes) == (None, True, None)
    assert (layer.sharing, layer.channel_axis) == ("channel-wise", 1)


def test_a_node_without_a_name_is_called_by_its_output() -> None:
    assert layers(model("y = PRelu(x, a)"))[0].nodes == ("y",)


def test_the_stored_shape_is_that_of_the_initializer() -> None:
    proto = model("b = Unsqueeze(flat, behind) y = PRelu(x, b)",
                  constants={"flat": SLOPES, "behind": np.array([1, 2])})  # fmt: skip
    (layer,) = layers(proto)
    assert (layer.name, layer.stored_shape, layer.slopes.shape) == ("flat", (3,), (1, 3, 1, 1))


def test_slopes_on_an_input_of_unknown_rank_stay_as_they_are() -> None:
    proto = model("y = PRelu(x, a)")
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.ClearField("shape")
    (layer,) = layers(proto)
    assert (layer.input_shape, layer.slopes.shape) == (None, (3, 1, 1))


def test_one_initializer_is_one_layer_and_maybe_several_instances() -> None:
    (layer,) = layers(model(TWICE))
    assert (layer.nodes, layer.same_instance) == (("t", "y"), False)


def test_what_the_export_says_of_its_layers_is_believed() -> None:
    proto = model(TWICE)
    for node in proto.graph.node:
        describe_layer(node, "block.act", "block.act.weight", (0, 3, 1, 2))
    (layer,) = layers(proto)
    assert (layer.name, layer.parameter, layer.nodes) == (
        "block.act", "block.act.weight", ("t", "y"),
    )  # fmt: skip
    assert layer.same_instance
    assert layer.axes == (0, 3, 1, 2)


def test_merged_initializers_are_taken_apart_by_what_the_export_says() -> None:
    proto = model(TWICE)
    for node, name in zip(proto.graph.node, ("one", "two"), strict=True):
        describe_layer(node, name, f"{name}.weight", None)
    assert [(layer.name, layer.nodes, layer.same_instance) for layer in layers(proto)] == [
        ("one", ("t",), True),
        ("two", ("y",), True),
    ]


def test_calls_of_one_layer_have_its_slopes() -> None:
    proto = model("t = PRelu(x, a) y = PRelu(t, a_half)")
    for node in proto.graph.node:
        describe_layer(node, "act", "act.weight", None)
    every = {tuple(layer.slopes.ravel().tolist()) for layer in layers(proto)}
    assert every == {tuple(SLOPES.tolist()), tuple((SLOPES / 2).tolist())}


def test_merged_initializers_are_taken_apart_by_the_modules_of_torch() -> None:
    scopes = ["['', 'net', 'net.1', 'prelu']", "['', 'net', 'net.3', 'prelu_1']"]
    found = layers(_scoped(model(TWICE), *scopes))
    assert [layer.name for layer in found] == ["net.1", "net.3"]
    assert all(layer.same_instance for layer in found)


def test_two_initializers_of_equal_value_are_two_layers() -> None:
    proto = model("t = PRelu(x, b) y = PRelu(t, c)", constants={"b": SLOPES, "c": SLOPES})
    assert [layer.name for layer in layers(proto)] == ["b", "c"]


_FACTOR = "p1 = Relu(x) q1 = Min(x, zero) s1 = Mul(q1, {b}) t = Add(p1, s1) " \
    "p = Relu(t) q = Min(t, zero) h = Mul(q, {c}) s = Mul(h, half) y = Add(p, s)"  # fmt: skip


def test_one_initializer_with_two_factors_is_not_one_set_of_slopes() -> None:
    found = layers(model(_FACTOR.format(b="a", c="a")))
    every = {tuple(layer.slopes.ravel().tolist()) for layer in found}
    assert every == {tuple(SLOPES.tolist()), tuple((SLOPES / 2).tolist())}


def test_two_slopes_with_one_factor_in_common_are_two_layers() -> None:
    one = "p{0} = Relu({1}) q{0} = Min({1}, zero) h{0} = Mul(q{0}, {2}) s{0} = Mul(h{0}, half) " \
        "{3} = Add(p{0}, s{0}) "  # fmt: skip
    body = one.format(1, "x", "b", "t") + one.format(2, "t", "c", "y")
    found = layers(model(body, constants={"b": np.float32(0.25), "c": np.float32(-2)}))
    assert [layer.slopes.item() for layer in found] == [0.125, -1.0]


@pytest.mark.parametrize(
    ("parameter", "node", "name"),
    [
        ("net.1.weight", "/1/PRelu", "net.1"),
        ("block/act/alpha", "n", "block/act"),
        ("p_re_lu/alpha:0", "n", "p_re_lu"),
        ("model/p_re_lu/Neg:0", "n", "model/p_re_lu"),
        ("model/p_re_lu/ReadVariableOp:0", "n", "model/p_re_lu"),
        ("cell/act/ReadVariableOp/resource:0", "n", "cell/act"),
        ("act.slope", "n", "act"),
        ("stem", "n", "stem"),
        ("weight", "n", "weight"),
        ("val_1", "/body/act/PRelu", "body/act"),
        ("onnx__PRelu_33", "act", "onnx__PRelu_33"),
        ("Const_4:0", "act", "act"),
        ("const_fold_opt__17", "act", "act"),
        ("model/act/Neg__5:0", "model/act/add", "model/act"),
        ("slope_0", "PRelu_7", "PRelu_7"),
        ("42", "n", "n"),
    ],
)
def test_the_name_of_a_layer(parameter: str, node: str, name: str) -> None:
    proto = _named(model("y = PRelu(x, a)"), node)
    proto.graph.initializer[0].name = parameter
    proto.graph.node[0].input[1] = parameter
    assert [layer.name for layer in layers(proto)] == [name]


def test_a_generated_parameter_and_no_name_leave_the_output() -> None:
    proto = model("y = PRelu(x, val_1)", constants={"val_1": SLOPES.reshape(3, 1, 1)})
    assert layers(proto)[0].name == "y"


def test_equal_names_are_numbered() -> None:
    column = SLOPES.reshape(3, 1, 1)
    constants = {f"val_{i}": column for i in (1, 2, 3)}
    body = "t = PRelu(x, val_1) u = PRelu(t, val_2) y = PRelu(u, val_3)"
    proto = _named(model(body, constants=constants), "/act/PRelu", "/act/PRelu_1", "/act/PRelu_2")
    assert [layer.name for layer in layers(proto)] == ["act", "act#2", "act#3"]


PRECEDING = {
    "conv": ("t = Conv(x, w)", 12),
    "conv with bias": ("t = Conv(x, w, v)", 15),
    "transposed conv": ("t = ConvTranspose(x, w, v)", 15),
    "conv, batch normalisation": ("c = Conv(x, w, v) t = BatchNormalization(c, v, v, v, v)", 15),
    "conv, scale and shift": ("c = Conv(x, w) s = Mul(c, a) t = Add(s, a)", 15),
    "conv, bias by itself": ("c = Conv(x, w) t = Add(c, a)", 15),
    "through a pool": ("c = Conv(x, w, v) t = MaxPool<kernel_shape = [1, 1]>(c)", 15),
    "through a transpose": ("c = Conv(x, w, v) t = Transpose(c)", 15),
    "through another activation": ("c = Conv(x, w, v) t = Sigmoid(c)", 15),
    "nothing before": ("t = Identity(x)", None),
    "weights that are computed": ("k = Sigmoid(w) t = Conv(x, k)", 12),
    "weights of the input": ("k = Sigmoid(x) t = Conv(x, k)", None),
    "a sum of two, the later one": ("c = Conv(x, w, v) d = Conv(c, w) t = Add(d, c)", 12),
    "a sum, of which one part is older": ("c = Conv(x, w, v) t = Add(x, c)", 15),
    "a layer on another path": ("t = Identity(x) o = Conv(x, w, v) z = Neg(o)", None),
    "cut to a size that is computed": (
        "o = Conv(x, w) c = ConvTranspose(x, w, v) s = Shape(o) u = Slice(c, zero, s) "
        "t = Pad(u, s)",
        15,
    ),
    "cut, and a bias": ("c = Conv(x, w) u = Slice(c, zero, one) t = Add(u, a)", 15),
    "in a body": (
        "c = Conv(x, w) p = Cast<to = 9>(one) t = If(p) <then_branch = f () => "
        f"({IMAGE} u) {{ u = Conv(c, w) }}, else_branch = g () => ({IMAGE} o) "
        "{ o = Neg(c) }>",
        None,
    ),
    "before a body": (
        "c = Conv(x, w) p = Cast<to = 9>(one) t = Neg(c) z = If(p) <then_branch = f () => "
        f"({IMAGE} u) {{ u = PRelu(t, a) }}, else_branch = g () => ({IMAGE} o) "
        "{ o = Neg(c) }>",
        12,
    ),
    "attention": ("q = MatMul(x, m) k = MatMul(q, x) t = Softmax(k)", 20),
    "recurrent": ("u, h, c = LSTM(x, m, m2, n) t = Squeeze(u)", 48),
    "other pieces": ("c = Conv(x, w, v) u, t = Split<num_outputs = 2>(c)", 15),
    "dense": ("t = MatMul(x, m)", 20),
    "dense and bias": ("c = MatMul(x, m) t = Add(c, n)", 24),
    "dense, reshaped weights": ("k = Reshape(w, sh) t = MatMul(x, k)", 12),
}


@pytest.mark.parametrize(("body", "expected"), PRECEDING.values(), ids=PRECEDING.keys())
def test_parameters_of_the_layer_before(body: str, expected: int | None) -> None:
    constants: Mapping[str, Array | float] = {
        "w": numbers(3, 4, 1, 1),
        "v": numbers(3),
        "m": numbers(5, 4),
        "n": numbers(4),
        "m2": numbers(6, 4),
        "zero": np.array([0]),
        "one": np.array([1]),
        "sh": np.array([6, 2]),
    }
    proto = model(f"{body} y = PRelu(t, half)", constants=constants)
    assert {layer.preceding_parameters for layer in layers(proto)} == {expected}


def test_overhead_of_a_dense_layer() -> None:
    proto = model("t = Gemm(x, m, n) y = PRelu(t, b)", "float[N,5] x", "float[N,4] y",
                  {"m": numbers(5, 4), "n": numbers(4), "b": numbers(4)})  # fmt: skip
    (layer,) = layers(proto)
    assert layer.overhead_percent == pytest.approx(100 * 4 / 24)
    assert layer.slopes.shape == (1, 4)


def test_layers_in_bodies_are_found() -> None:
    body = (
        f"t = PRelu(x, a) p = Cast<to = 9>(flag) y = If(p) <then_branch = yes () => ({IMAGE} u) "
        f"{{ u = PRelu(t, six) }}, else_branch = no () => ({IMAGE} w) {{ w = PRelu(t, a) }}>"
    )
    found = layers(model(body, f"{IMAGE} x, float[1] flag"))
    assert [(layer.name, layer.nodes) for layer in found] == [("a", ("t", "w")), ("six", ("u",))]
    assert found[1].input_shape == (None, 3, 4, 5)


@pytest.mark.parametrize("scopes", ["no list", "5", "['a'", "None"])
def test_metadata_that_is_not_what_torch_writes_is_no_traceback(scopes: str) -> None:
    try:
        found = layers(_scoped(model("y = PRelu(x, a)"), scopes))
    except PReLUToolsError:
        return
    assert [layer.name for layer in found] == ["a"]


@pytest.mark.parametrize(("opset", "axis"), [(6, 1), (7, 3)])
def test_one_dimension_is_the_channels_before_opset_7(opset: int, axis: int) -> None:
    cube = "float[N,3,3,3]"
    proto = model("y = PRelu(x, b)", f"{cube} x", f"{cube} y", {"b": SLOPES}, opset=opset)
    (layer,) = layers(proto)
    assert layer.channel_axis == axis
