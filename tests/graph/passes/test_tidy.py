"""Order and names come from the model alone, so that the same source gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, SLOPES, Array, initializers, model, numbers, operators, run
from onnx import TensorProto, checker, helper

from prelu_tools.graph.io.metadata import describe_layer
from prelu_tools.graph.passes.tidy import rename_values, tidy

X = numbers(2, 3, 4, 5)
CONSTANTS: Mapping[str, Array] = {
    "w": numbers(3, 3, 1, 1, seed=1),
    "k": numbers(3, 3, 1, 1, seed=2),
    "v": numbers(3, seed=3),
    "sizes": np.array([-1, 60]),
    "m": numbers(60, 4, seed=4),
}
NET = (
    "c = Conv(x, w, v) r = PRelu(c, a) d = Conv(r, k) e = Relu(c) s = Add(d, e) "
    "f = Reshape(s, sizes) y = MatMul(f, m)"
)


def _net(body: str = NET, outputs: str = "float[N,4] y") -> onnx.ModelProto:
    return model(body, outputs=outputs, constants=CONSTANTS)


def _tidied(proto: onnx.ModelProto, keep: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The model tidied, which computes bit for bit what it did before."""
    before = run(proto, x=X)
    tidy(proto.graph, keep or {})
    onnx.checker.check_model(proto, full_check=True)
    assert all(np.array_equal(a, b) for a, b in zip(run(proto, x=X), before, strict=True))
    return proto


def _bytes(proto: onnx.ModelProto) -> bytes:
    return _tidied(proto).SerializeToString(deterministic=True)


def _renamed(proto: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """The model with other names for all that an exporter names by itself."""
    names = dict.fromkeys(n for node in proto.graph.node for n in [*node.input, *node.output])
    generated = [name for name in reversed(names) if name not in ("", "x", "y")]
    rename_values(proto.graph, {name: f"{prefix}{i}" for i, name in enumerate(generated)})
    return proto


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_nodes_and_initializers_does_not_matter(seed: int) -> None:
    shuffled, generator = _net(), np.random.default_rng(seed)
    for field in (shuffled.graph.node, shuffled.graph.initializer):
        items = [type(item).FromString(item.SerializeToString()) for item in field]
        del field[:]
        field.extend(items[i] for i in generator.permutation(len(items)))
    tidy(shuffled.graph, {})
    assert shuffled.SerializeToString(deterministic=True) == _bytes(_net())


@pytest.mark.parametrize("prefix", ["val_", "onnx::", "Const__17/"])
def test_generated_names_do_not_matter(prefix: str) -> None:
    assert _bytes(_renamed(_net(), prefix)) == _bytes(_net())


def test_what_exporters_note_does_not_matter() -> None:
    proto = _net()
    for item in [*proto.graph.node, *proto.graph.initializer, *proto.graph.input, proto.graph,
                 *proto.graph.output]:  # fmt: skip
        item.doc_string = "File /home/someone/nets.py, line 3"
        item.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone")
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("c", 1, None))
    data = _bytes(proto)
    assert data == _bytes(_net())
    assert b"someone" not in data


def test_nodes_are_sorted_depth_first_from_the_outputs() -> None:
    assert operators(_tidied(_net())) == [
        "Conv", "PRelu", "Conv", "Relu", "Add", "Reshape", "MatMul",
    ]  # fmt: skip


def test_two_outputs_are_sorted_in_their_order() -> None:
    body = "n = Neg(x) y = Relu(x) z = Abs(n)"
    proto = _tidied(_net(body, f"{IMAGE} z, {IMAGE} y"))
    assert operators(proto) == ["Neg", "Abs", "Relu"]


def test_nodes_that_no_output_needs_go() -> None:
    assert operators(_tidied(_net("n = Neg(x) y = Relu(x)", f"{IMAGE} y"))) == ["Relu"]


def test_a_long_chain_is_sorted() -> None:
    links = "".join(f"t{i + 1} = Neg(t{i}) " for i in range(1500))
    proto = _net(f"t0 = Neg(x) {links} y = Relu(t1500)", f"{IMAGE} y")
    tidy(proto.graph, {})
    assert operators(proto) == ["Neg"] * 1501 + ["Relu"]


def test_names_say_what_a_tensor_is_for() -> None:
    proto = _tidied(_net())
    assert [node.name for node in proto.graph.node] == [
        "Conv", "PRelu", "Conv_1", "Relu", "Add", "Reshape", "MatMul",
    ]  # fmt: skip
    assert list(initializers(proto)) == [
        "Conv/bias", "Conv/weight", "Conv_1/weight", "MatMul/weight", "PRelu/constant_1",
        "Reshape/shape",
    ]  # fmt: skip
    assert proto.graph.node[0].output == ["Conv:0"]
    assert proto.graph.node[-1].output == ["y"]


def test_a_constant_may_stand_on_either_side_of_a_product() -> None:
    proto = model("y = MatMul(left, x)", "float[3,4] x", "float[2,4] y", {"left": numbers(2, 3)})
    tidy(proto.graph, {})
    assert set(initializers(proto)) == {"MatMul/weight"}


def test_a_constant_in_the_place_of_an_input_has_a_name_of_its_own() -> None:
    constants = {"first": numbers(2, 3), "third": numbers(4)}
    proto = model("y = Gemm(first, x, third)", "float[3,4] x", "float[2,4] y", constants)
    tidy(proto.graph, {})
    assert set(initializers(proto)) == {"Gemm/constant_0", "Gemm/bias"}


def test_names_of_nodes_are_kept_made_unique_and_freed_of_blanks() -> None:
    proto = _net("n = Neg(x) o = Neg(n) p = Neg(o) y = Neg(p)", f"{IMAGE} y")
    for node, name in zip(proto.graph.node, ["act", "act", "a b\tc", "act_1"], strict=True):
        node.name = name
    tidy(proto.graph, {})
    assert [node.name for node in proto.graph.node] == ["act", "act_1", "a_b_c", "act_1_1"]


def test_the_name_of_a_layer_is_its_own() -> None:
    proto = _net("n = Neg(x) y = PRelu(n, a)", f"{IMAGE} y")
    proto.graph.node[0].name = proto.graph.node[1].name = "act"
    describe_layer(proto.graph.node[1], "act", "act.weight", None)
    rename_values(proto.graph, {"a": "act.weight"})
    tidy(proto.graph, {})
    assert [node.name for node in proto.graph.node] == ["act_1", "act"]
    assert list(initializers(proto)) == ["act.weight"]
    assert len(proto.graph.node[1].metadata_props) == 2


def test_names_of_the_source_are_kept_for_its_parameters() -> None:
    proto = _tidied(_net(), {"w": "stem.weight", "k": "body weight", "unknown": "nothing"})
    assert {"stem.weight", "body_weight", "Conv/bias"} <= set(initializers(proto))
    assert "nothing" not in initializers(proto)


def test_a_name_of_the_source_that_is_taken_is_numbered() -> None:
    proto = _tidied(_net(), {"w": "x", "k": "y", "v": "stem", "m": "stem"})
    assert set(initializers(proto)) >= {"x_1", "y_1", "stem", "stem_1"}


def test_a_slope_keeps_its_name_before_all_others() -> None:
    proto = _net()
    describe_layer(proto.graph.node[1], "act", "act.weight", None)
    rename_values(proto.graph, {"a": "act.weight"})
    _tidied(proto, {"w": "act.weight", "act.weight": "other"})
    assert initializers(proto)["act.weight"].ravel().tolist() == SLOPES.tolist()
    assert "act.weight_1" in initializers(proto)


def test_inputs_and_outputs_keep_their_names() -> None:
    proto = model(
        "y = Relu(Relu_0) Relu_1 = Neg(y)", f"{IMAGE} Relu_0", f"{IMAGE} y, {IMAGE} Relu_1"
    )
    tidy(proto.graph, {})
    graph = proto.graph
    assert [v.name for v in [*graph.input, *graph.output]] == ["Relu_0", "y", "Relu_1"]
    onnx.checker.check_model(proto, full_check=True)


IF = (
    f"n = Neg(x) p = Cast<to = 9>(s) y = If(p) <then_branch = yes () => ({IMAGE} u) "
    f"{{ u = Add(n, a) }}, else_branch = no () => ({IMAGE} q) {{ r = Relu(n) q = Mul(r, half) }}>"
)


def test_bodies_follow_the_names_of_the_graph_around_them() -> None:
    proto = _net(f"s = ReduceMax<keepdims = 0>(x) {IF}", f"{IMAGE} y")
    _tidied(_renamed(proto, "z_"))
    assert operators(proto) == ["ReduceMax", "Cast", "Neg", "If"]


def test_a_body_that_returns_a_tensor_of_the_graph_around_it_follows_too() -> None:
    body = (
        "s = ReduceMax<keepdims = 0>(x) n = Neg(x) p = Cast<to = 9>(s) y = If(p) <then_branch = "
        f"yes () => ({IMAGE} n2) {{ n2 = Identity(n) }}, else_branch = no () => ({IMAGE} n) {{ }}>"
    )
    proto = _net(body, f"{IMAGE} y")
    tidy(proto.graph, {})
    branches = {a.name: a.g for a in proto.graph.node[-1].attribute}
    neg = next(node for node in proto.graph.node if node.op_type == "Neg")
    assert branches["else_branch"].output[0].name == neg.output[0]
    assert branches["then_branch"].node[0].input[0] == neg.output[0]


def test_nodes_whose_first_output_is_left_out_stay() -> None:
    cell = "LSTM<hidden_size = 2>(x, w1, r)"
    body = f"o, g = {cell} p, h = {cell} y = Add(g, h)"
    constants = {"w1": numbers(1, 8, 3), "r": numbers(1, 8, 2)}
    proto = model(body, "float[T,1,3] x", "float[1,1,2] y", constants)
    for node in proto.graph.node[:2]:
        node.output[0] = ""
    tidy(proto.graph, {})
    assert operators(proto) == ["LSTM", "LSTM", "Add"]


def test_a_name_that_a_body_uses_is_not_given_again() -> None:
    """Else what reads the one outside would get the one inside."""
    output = helper.make_tensor_value_info("Relu:0", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Neg", ["h"], ["Relu:0"])], "b", [], [output])
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
    ]
    proto = model("y = Relu(x)", "float[2] x, bool c", "float[2] y")
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    tidy(proto.graph, {})
    checker.check_model(proto, full_check=True)
    x = np.float32([1, -2])
    assert run(proto, x=x, c=np.array(True))[0].tolist() == [-1, 0]
