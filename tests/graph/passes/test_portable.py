"""Any file in its canonical form: one PRelu node a call, true slopes, no Transpose around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import COLUMN, CONSTANTS, SLOPES, initializers, model, numbers, operators, run
from onnx import TensorProto, checker, helper, numpy_helper, parser

from prelu_tools.core.arrays import same_bits
from prelu_tools.graph.io.metadata import AXES, LAYER, PARAMETER, properties
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.portable import to_portable

FORMS = {
    "prelu": "y = PRelu(x, a)",
    "relu_neg": "r = Relu(x) n = Neg(x) m = Relu(n) s = Mul(m, a_negated) y = Add(r, s)",
    "relu_sub": "r = Relu(x) n = Neg(x) m = Relu(n) s = Mul(m, a) y = Sub(r, s)",
    "where": "p = GreaterOrEqual(x, zero) s = Mul(x, a) y = Where(p, x, s)",
    "where_mask": "p = GreaterOrEqual(x, zero) n = Not(p) f = Cast<to=1>(p) g = Cast<to=1>(n) "
    "u = Mul(f, x) s = Mul(a, x) t = Mul(g, s) y = Add(u, t)",
    "max_min": "r = Max(x, zero) m = Min(x, zero) s = Mul(a, m) y = Add(r, s)",
    "abs": "r = Relu(x) b = Abs(x) d = Sub(x, b) s = Mul(d, a_half) y = Add(r, s)",
    "max": "s = Mul(x, a) y = Max(x, s)",
    "linear": "r = Relu(x) s = Mul(a_rest, r) t = Mul(a, x) y = Add(s, t)",
    "depthwise": "r = Relu(x) n = Conv<group=3>(x, w_minus_one) m = Relu(n) "
    "s = Conv<group=3>(m, w_negated) y = Add(r, s)",
}


def _portable(proto: onnx.ModelProto) -> onnx.ModelProto:
    found = to_portable(OnnxModel(proto, None)).proto
    checker.check_model(found, full_check=True)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_one_node_with_the_true_slopes(form: str) -> None:
    original = model(FORMS[form])
    found = _portable(original)
    assert operators(found) == ["PRelu"]
    (slopes,) = initializers(found).values()
    assert same_bits(slopes, COLUMN)
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(found, x=x)[0], run(original, x=x)[0])


def test_the_original_stays_as_it_is() -> None:
    original = model(FORMS["relu_neg"])
    before = original.SerializeToString()
    _portable(original)
    assert original.SerializeToString() == before


def test_it_is_its_own_canonical_form() -> None:
    once = _portable(model(FORMS["where"]))
    assert _portable(once) == once


# Transposes


def _row() -> dict[str, np.ndarray]:
    return {"row": SLOPES.reshape(1, 1, 3)}


IN, OUT = "t = Transpose<perm=[0, 2, 3, 1]>(x)", "Transpose<perm=[0, 3, 1, 2]>"


def test_transposes_around_a_node_go() -> None:
    original = model(f"{IN} u = PRelu(t, row) y = {OUT}(u)", constants=_row())
    found = _portable(original)
    assert operators(found) == ["PRelu"]
    assert same_bits(next(iter(initializers(found).values())), COLUMN)
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(found, x=x)[0], run(original, x=x)[0])


@pytest.mark.parametrize("end", [
    f"b = {OUT}(s) y = Add(r, b)", "q = Transpose<perm=[0, 2, 3, 1]>(r) u = Add(q, s) "
    f"y = {OUT}(u)",
])  # fmt: skip
def test_transposes_inside_a_form_go(end: str) -> None:
    original = model(
        f"r = Relu(x) n = Neg(x) m = Relu(n) t = Transpose<perm=[0, 2, 3, 1]>(m) "
        f"s = Mul(t, row) {end}",
        constants={"row": -SLOPES.reshape(1, 1, 3)},
    )
    assert operators(_portable(original)) == ["PRelu"]


def test_transposes_of_several_readers_go() -> None:
    original = model(
        f"{IN} u = PRelu(t, row) v = {OUT}(u) w = {OUT}(u) z = Relu(v) k = Add(z, w) y = Relu(k)",
        constants=_row(),
    )
    found = _portable(original)
    assert operators(found) == ["PRelu", "Relu", "Add", "Relu"]
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(found, x=x)[0], run(original, x=x)[0])


def test_a_transpose_that_is_needed_stays() -> None:
    original = model(f"{IN} y = PRelu(t, row)", outputs="float[N,4,5,3] y", constants=_row())
    assert operators(_portable(original)) == ["Transpose", "PRelu"]


@pytest.mark.parametrize(
    ("end", "output", "left"), [(" z = Relu(u)", "z", ["Relu"]), ("", "u", [])]
)
def test_a_tensor_that_is_read_in_its_own_order_keeps_its_transposes(
    end: str, output: str, left: list[str]
) -> None:
    original = model(
        f"{IN} u = PRelu(t, row) y = {OUT}(u){end}",
        outputs=f"float[N,3,4,5] y, float[N,4,5,3] {output}",
        constants=_row(),
    )
    assert operators(_portable(original)) == ["Transpose", "PRelu", "Transpose", *left]


def test_slopes_that_are_computed_leave_the_transposes_where_they_are() -> None:
    original = model(f"{IN} s = Sigmoid(t) u = PRelu(t, s) y = {OUT}(u)")
    assert operators(_portable(original)) == ["Transpose", "Sigmoid", "PRelu", "Transpose"]


def test_two_transposes_of_which_something_is_left_become_one() -> None:
    original = model(
        f"{IN} u = PRelu(t, row) y = Transpose<perm=[0, 2, 3, 1]>(u)",
        outputs="float[N,5,3,4] y",
        constants=_row(),
    )
    found = _portable(original)
    assert operators(found) == ["PRelu", "Transpose"]
    x = numbers(2, 3, 4, 5)
    assert np.array_equal(run(found, x=x)[0], run(original, x=x)[0])


def test_outputs_keep_their_names_where_both_sides_of_a_transpose_are_outputs() -> None:
    original = model(
        f"{IN} u = PRelu(t, row) y = {OUT}(u) z = {OUT}(u)",
        outputs="float[N,3,4,5] y, float[N,3,4,5] z",
        constants=_row(),
    )
    found = _portable(original)
    assert [value.name for value in found.graph.output] == ["y", "z"]
    x = numbers(2, 3, 4, 5)
    for mine, other in zip(run(found, x=x), run(original, x=x), strict=True):
        assert np.array_equal(mine, other)


# Names, and who shares an initializer


def _two_calls(names: tuple[str, str]) -> onnx.ModelProto:
    """Two nodes of one initializer, in the scopes that torch's exporter notes."""
    proto = model("[n0] h = PRelu(x, val_1) [n1] y = PRelu(h, val_1)", constants={"val_1": COLUMN})
    for node, name in zip(proto.graph.node, names, strict=True):
        scopes = str(["", name, "prelu"])
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    return proto


@pytest.mark.parametrize(
    ("modules", "names", "slopes"),
    [
        (("act1", "act2"), ["act1", "act2"], ["act1/slope", "act2/slope"]),
        (("act", "act"), ["act", "act_1"], ["act/slope", "act/slope"]),
    ],
    ids=["two modules whose initializers were merged", "two calls of one module"],
)
def test_each_module_has_slopes_of_its_own(
    modules: tuple[str, str], names: list[str], slopes: list[str]
) -> None:
    found = _portable(_two_calls(modules))
    assert [node.name for node in found.graph.node] == names
    assert [node.input[1] for node in found.graph.node] == slopes


def test_two_calls_of_one_initializer_share_it_where_nothing_says_otherwise() -> None:
    found = _portable(model("h = PRelu(x, a) y = PRelu(h, a)"))
    assert [node.input[1] for node in found.graph.node] == ["a", "a"]


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ("act.weight", "act.weight"),
        ("stage1_relu_gamma", "stage1_relu_gamma"),
        ("onnx::PRelu_33", "f/1/slope"),
        ("net/p_re_lu/Neg:0", "net/p_re_lu/slope"),
    ],
)
def test_a_slope_keeps_the_name_that_people_gave_it(stored: str, named: str) -> None:
    proto = model("y = PRelu(x, a)")
    proto.graph.node[0].name = "/f/1/PRelu"
    proto.graph.node[0].input[1] = proto.graph.initializer[0].name = stored
    found = _portable(proto)
    assert list(initializers(found)) == [named]
    assert properties(found.graph.node[0])[PARAMETER] == named


def test_what_an_earlier_export_said_of_its_source_stays() -> None:
    proto = model("[act] y = PRelu(x, a)")
    for key, value in {LAYER: "act", PARAMETER: "act.alpha", AXES: "0,3,1,2"}.items():
        proto.graph.node[0].metadata_props.add(key=key, value=value)
    (node,) = _portable(proto).graph.node
    known = properties(node)
    assert (known[LAYER], known[PARAMETER], known[AXES]) == ("act", "act.alpha", "0,3,1,2")


# Bodies, functions, weights elsewhere


def _branch(name: str, nodes: list[onnx.NodeProto], *own: onnx.TensorProto) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [output], own)


def _conditional() -> onnx.ModelProto:
    """The five ops in one branch, a PRelu with a slope of its own in the other."""
    proto = model("k = ReduceSum<keepdims=0>(x) c = Greater(k, zero) y = Identity(x)")
    five = parser.parse_graph(f"g (float[N] v) => (float[N] w) {{ {FORMS['relu_neg']} }}").node
    own = numpy_helper.from_array(2 * COLUMN, "act.weight")
    node = helper.make_node("PRelu", ["x", "act.weight"], ["e"], name="act")
    branches = {"then_branch": _branch("a", list(five)), "else_branch": _branch("b", [node], own)}
    proto.graph.node[-1].CopyFrom(helper.make_node("If", ["c"], ["z"], **branches))
    proto.graph.output[0].name = "z"
    negated = numpy_helper.from_array(CONSTANTS["a_negated"], "a_negated")
    proto.graph.initializer.append(negated)
    return proto


def test_bodies_are_canonical_too() -> None:
    original = _conditional()
    found = _portable(original)
    branches = [attribute.g for attribute in found.graph.node[-1].attribute]
    assert [[node.op_type for node in branch.node] for branch in branches] == [["PRelu"]] * 2
    assert [len(branch.initializer) for branch in branches] == [0, 0]
    assert same_bits(initializers(found)["act.weight"], 2 * COLUMN)
    for sign in (1, -1):
        x = sign * np.abs(numbers(2, 3, 4, 5)) + numbers(2, 3, 4, 5, seed=1) / 16
        assert np.array_equal(run(found, x=x)[0], run(original, x=x)[0])


def test_local_functions_are_inlined() -> None:
    proto = parser.parse_model("""<ir_version: 8, opset_import: ["": 18, "local": 1]>
        graph (float[N,3,4,5] x) => (float[N,3,4,5] y) { y = local.Act(x, a) }
        <domain: "local", opset_import: ["": 18]> Act (v, w) => (o) {
            z = Constant<value = float {0}>() g = GreaterOrEqual(v, z) q = Mul(v, w)
            o = Where(g, v, q) }""")
    proto.graph.initializer.append(numpy_helper.from_array(COLUMN, "a"))
    found = _portable(proto)
    assert operators(found) == ["PRelu"]
    assert not found.functions


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    weight = np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
    proto = model("c = Conv(x, w) y = PRelu(c, a)", constants={"w": weight})
    onnx.save(proto, path, save_as_external_data=True, size_threshold=0)
    found = to_portable(read_model(path)).inlined()
    assert same_bits(initializers(found)["w"], weight)


def test_weights_that_are_listed_as_inputs_are_weights() -> None:
    proto = model("y = PRelu(x, a)")
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [3, 1, 1]))
    found = _portable(proto)
    assert [value.name for value in found.graph.input] == ["x"]
    assert [layer.name for layer in read_layers(OnnxModel(found, None))] == ["a"]
