"""Look-ups over a graph, the bodies in it, and the functions that it calls."""

from __future__ import annotations

import onnx
import pytest
from graph_text import IMAGE, model, view
from onnx import helper, parser

from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.view import all_views

BODY = f"""
    p = Cast<to = 9>(flag) t = Relu(x)
    y = If(p) <
        then_branch = yes () => ({IMAGE} u) {{ v = PRelu(t, a) u = Neg(v) }},
        else_branch = no () => ({IMAGE} w) {{ w = PRelu(x, two) }}
    >
"""
FUNCTION = """
<ir_version: 8, opset_import: ["": 18, "local": 1]>
g (float[N,3,4,5] x, float[3,1,1] a) => (float[N,3,4,5] y) { t = local.act(x, a)  y = Relu(t) }
<domain: "local", opset_import: ["": 18]>
act (x, a) => (y) { y = PRelu(x, a) }
"""


def _model_with_bodies() -> onnx.ModelProto:
    proto = model(BODY, f"{IMAGE} x, float[1] flag")
    for name in ("a", "two"):  # the text of a body names them, so they are there
        assert name in {tensor.name for tensor in proto.graph.initializer}
    return proto


def test_who_makes_a_tensor_and_what_is_given() -> None:
    graph = view(model("t = Relu(x) y = PRelu(t, a)"))
    assert {name: node.op_type for name, node in graph.producer.items()} == {
        "t": "Relu",
        "y": "PRelu",
    }
    assert set(graph.initializers) == {"a"}
    assert graph.inputs == {"x"}


def test_an_input_with_a_default_value_is_no_input() -> None:
    graph = view(model("y = PRelu(x, a)", f"{IMAGE} x, float[3,1,1] a"))
    assert graph.inputs == {"x"}


def test_every_use_counts_and_being_an_output_is_one() -> None:
    proto = model("t = Mul(x, x) y = Add(t, x)", outputs=f"{IMAGE} y, {IMAGE} t")
    uses = view(proto).uses
    assert (uses["x"], uses["t"], uses["y"], uses["nothing"]) == (3, 2, 1, 0)


def test_a_left_out_input_is_not_used() -> None:
    assert "" not in view(model("y = Clip(x, , six)")).uses


@pytest.mark.parametrize(
    ("tensor", "shape", "kind"),
    [
        ("x", (None, 3, 4, 5), onnx.TensorProto.FLOAT),
        ("t", (None, 4, 5, 3), onnx.TensorProto.FLOAT),
        ("a", (3, 1, 1), onnx.TensorProto.FLOAT),
        ("s", (4,), onnx.TensorProto.INT64),
        ("free", None, onnx.TensorProto.FLOAT),
        ("unknown", None, None),
        ("nothing", None, None),
    ],
)
def test_shapes_and_types(tensor: str, shape: Shape | None, kind: int | None) -> None:
    body = (
        "t = Transpose<perm = [0, 2, 3, 1]>(x) s = Shape(t) free = Reshape(t, which) "
        "unknown = custom.Op(x) y = PRelu(x, a)"
    )
    graph = view(model(body, f"{IMAGE} x, int64[K] which"))
    assert graph.shape(tensor) == shape
    assert graph.element_type(tensor) == kind


def test_a_graph_that_contradicts_itself_keeps_the_types_that_it_states() -> None:
    graph = view(model("t = MatMul(x, a) y = Add(t, six)", outputs="float[N,7] y"))
    assert graph.shape("x") == (None, 3, 4, 5)


def test_bodies_come_behind_the_graph_around_them() -> None:
    views = list(all_views(OnnxModel(_model_with_bodies(), None)))
    assert [v.graph.name for v in views] == ["graph", "yes", "no"]


def test_a_body_sees_the_tensors_around_it() -> None:
    _, yes, _ = all_views(OnnxModel(_model_with_bodies(), None))
    assert yes.producer["t"].op_type == "Relu"
    assert yes.producer["v"].op_type == "PRelu"
    assert "a" in yes.initializers
    assert yes.shape("t") == (None, 3, 4, 5)
    assert yes.element_type("t") == onnx.TensorProto.FLOAT
    assert (yes.uses["v"], yes.uses["u"], yes.uses["w"]) == (1, 1, 0)


def test_a_body_does_not_see_the_one_beside_it() -> None:
    _, yes, no = all_views(OnnxModel(_model_with_bodies(), None))
    assert "v" not in no.producer
    assert "w" not in yes.producer


def test_functions_are_put_where_they_are_called() -> None:
    proto = parser.parse_model(FUNCTION)
    (main,) = all_views(OnnxModel(proto, None))
    assert [node.op_type for node in main.graph.node] == ["PRelu", "Relu"]
    assert main.shape(main.graph.node[0].output[0]) == (None, 3, 4, 5)
    assert [node.op_type for node in proto.graph.node] == ["act", "Relu"]


@pytest.mark.parametrize("stated", [(1, 12, 10, 3), (1, 3, 4, 5), (3,)])
def test_what_a_file_states_of_its_tensors_may_be_out_of_date(stated: tuple[int, ...]) -> None:
    proto = model("t = Relu(x) y = PRelu(t, a)")
    proto.graph.value_info.append(helper.make_tensor_value_info("t", 1, stated))
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.shape.dim.add(dim_value=7)
    (view,) = all_views(OnnxModel(proto, None))
    assert view.shape("t") == view.shape("y") == (None, 3, 4, 5)
    assert [value.name for value in proto.graph.value_info] == ["t"]


def test_what_a_file_states_counts_where_inference_finds_nothing() -> None:
    proto = model("t = custom.Own(x) u = Relu(t) y = PRelu(u, a)")
    proto.graph.value_info.append(helper.make_tensor_value_info("t", 1, (1, 3, 8, 8)))
    (view,) = all_views(OnnxModel(proto, None))
    assert view.shape("t") == view.shape("u") == (1, 3, 8, 8)
