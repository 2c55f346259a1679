"""PRelu nodes written in other forms: the same numbers, the same slopes, and the way back."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, Array, initializers, model, operators, run
from onnx import checker
from versions import infinities

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.rounding.parity import ulps
from prelu_tools.graph.io.metadata import SLOPE_NAME, properties
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import locate_layers, read_layers
from prelu_tools.graph.passes.lowering import fitting_forms, lower, lowerable
from prelu_tools.graph.passes.portable import to_portable
from prelu_tools.graph.passes.writing import WRITTEN, Draft, Tensors, write
from prelu_tools.graph.view import GraphView

SMALLEST = np.finfo(np.float32).smallest_subnormal
VALUES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3e38,
    -3e38,
    1e-38,
    -1e-38,
    SMALLEST,
    -SMALLEST,
    -0.3,
    0.7,
    12.3,
    1.7,
]
INFINITE = [np.inf, -np.inf, np.nan]
BELOW_ONE = [0.25, -0.5, 0.125]
ABOVE_ONE = [0.25, -1.5, 2.5]
CASES = {
    "prelu": ABOVE_ONE,
    "relu": [0.0, 0.0, 0.0],
    "identity": [1.0, 1.0, 1.0],
    "leaky_relu": [-0.3, -0.3, -0.3],
    "depthwise": ABOVE_ONE,
    "relu_mul": ABOVE_ONE,
    "relu_neg": ABOVE_ONE,
    "max_min": ABOVE_ONE,
    "max": BELOW_ONE,
    "max_neg": [0.0, -0.5, 1.0],
    "linear": [0.1, 0.3, 0.9],
}


def image_model(slopes: list[float], body: str = "y = PRelu(x, b)") -> OnnxModel:
    constants = {"b": np.array(slopes, np.float32).reshape(-1, 1, 1)}
    return OnnxModel(model(body, constants=constants), None)


def image(values: list[float]) -> Array:
    """Every value in every channel."""
    row = np.resize(np.array(values, np.float32), 20).reshape(1, 1, 4, 5)
    return np.repeat(row, 3, axis=1)


def lowered(before: OnnxModel, form: str) -> OnnxModel:
    copy = onnx.ModelProto()
    copy.CopyFrom(before.proto)
    after = OnnxModel(copy, None)
    lower(after, {item.layer.name: form for item in lowerable(after)})
    return after


def same(left: Array, right: Array) -> bool:
    return bool(((left == right) | (np.isnan(left) & np.isnan(right))).all())


def test_every_written_form_has_a_case() -> None:
    assert set(WRITTEN) == set(CASES)


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("prelu", {"b"}),
        ("relu", set()),
        ("relu_neg", {"b/negated"}),
        ("relu_mul", {"b/negated", "prelu_tools/minus_one_3x1x1"}),
        ("linear", {"b", "b/rest"}),
        ("max_neg", {"b", "prelu_tools/zero"}),
    ],
)
def test_constants_are_called_after_the_slopes(form: str, names: set[str]) -> None:
    proto = image_model(CASES[form]).proto
    graph = onnx.GraphProto(input=proto.graph.input, output=proto.graph.output)
    draft = Draft(proto.graph.node[0], np.full((3, 1, 1), 0.5, np.float32), "b", Tensors(graph))
    write(draft, form)
    assert {tensor.name for tensor in graph.initializer} == names
    assert (SLOPE_NAME in properties(draft.nodes[-1])) == (not names)


@pytest.mark.parametrize("form", CASES)
def test_a_form_gives_what_prelu_gives(form: str) -> None:
    before = image_model(CASES[form])
    after = lowered(before, form)
    checker.check_model(after.proto)
    with np.errstate(all="ignore"):
        finite = run(before.proto, x=image(VALUES))[0], run(after.proto, x=image(VALUES))[0]
    if WRITTEN[form].rounds:
        left, right = (values.astype(np.float64) for values in finite)
        assert 0 < ulps(np.abs(left - right), np.abs(left), np.dtype(np.float32)) <= 4
    else:
        assert same(*finite)


@infinities
@pytest.mark.parametrize("form", [form for form in CASES if WRITTEN[form].special])
def test_a_form_gives_what_prelu_gives_for_infinities(form: str) -> None:
    before = image_model(CASES[form])
    with np.errstate(all="ignore"):
        left, right = (
            run(made.proto, x=image(INFINITE))[0] for made in (before, lowered(before, form))
        )
    assert same(left, right)


def test_relu_is_the_form_that_infinities_tell_from_prelu() -> None:
    before = image_model(CASES["relu"])
    left, right = (run(m.proto, x=image(INFINITE))[0] for m in (before, lowered(before, "relu")))
    assert np.isnan(left[0, 0, 0, 1])
    assert right[0, 0, 0, 1] == 0


@pytest.mark.parametrize("form", CASES)
def test_a_lowered_layer_is_the_same_layer(form: str) -> None:
    before = image_model(CASES[form])
    (was,), (now,) = read_layers(before), read_layers(lowered(before, form))
    assert (now.form, now.name) == (form, was.name)
    assert now.slopes.tobytes() == was.slopes.tobytes()
    assert now.sharing == was.sharing


@pytest.mark.parametrize("form", CASES)
def test_there_and_back(form: str) -> None:
    before = image_model(CASES[form])
    after = to_portable(lowered(before, form))
    assert operators(after.proto) == ["PRelu"]
    (slopes,) = initializers(after.proto).values()
    assert slopes.tobytes() == initializers(before.proto)["b"].tobytes()
    assert slopes.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("slopes", "missing"),
    [
        (ABOVE_ONE, {"max", "max_neg", "relu", "identity", "leaky_relu", "linear"}),
        (BELOW_ONE, {"relu", "identity", "leaky_relu", "linear"}),
        ([0.5, 0.0, 0.25], {"max", "relu", "identity", "leaky_relu", "linear"}),
        ([0.5, -0.0, 0.25], {"max", "relu", "identity", "leaky_relu", "linear"}),
        ([0.0, 0.0, -0.0], {"max", "relu", "identity", "leaky_relu", "linear"}),
        ([-0.0, -0.0, -0.0], {"max", "relu", "identity", "linear"}),
        ([0.0, 0.0, 0.0], {"max", "identity", "linear"}),
        ([0.25, 0.5, 0.75], {"relu", "identity", "leaky_relu"}),
        ([1.0, 1.0, 1.0], {"relu", "linear"}),
        ([2.0, 2.0, 2.0], {"relu", "identity", "max", "max_neg", "linear"}),
    ],
)
def test_a_form_is_offered_only_where_it_equals_prelu(
    slopes: list[float], missing: set[str]
) -> None:
    (item,) = lowerable(image_model(slopes))
    assert set(fitting_forms(item, special=False, rounding=True)) == set(WRITTEN) - missing


def test_what_is_allowed_narrows_the_forms() -> None:
    (item,) = lowerable(image_model([0.0, 0.0, 0.0]))
    assert "relu" not in set(fitting_forms(item, special=True, rounding=False))
    assert "linear" not in set(fitting_forms(item, special=False, rounding=False))


def test_slopes_for_each_position_are_no_depthwise_convolution() -> None:
    constants = {"b": np.full((3, 4, 5), 0.5, np.float32) + np.eye(5, dtype=np.float32)[:4] / 8}
    (item,) = lowerable(OnnxModel(model("y = PRelu(x, b)", constants=constants), None))
    assert "depthwise" not in set(fitting_forms(item, special=False, rounding=False))


@pytest.mark.parametrize("form", ["relu_mul", "max", "leaky_relu"])
def test_two_calls_of_one_layer_share_their_constants(form: str) -> None:
    slopes = [0.5, 0.5, 0.5] if form == "leaky_relu" else BELOW_ONE
    before = image_model(slopes, "h = PRelu(x, b) y = PRelu(h, b)")
    after = lowered(before, form)
    (layer,) = read_layers(after)
    assert len(layer.nodes) == 2
    assert len(initializers(after.proto)) == {"relu_mul": 2, "max": 1, "leaky_relu": 0}[form]
    assert same(run(before.proto, x=image(VALUES))[0], run(after.proto, x=image(VALUES))[0])


def test_two_layers_of_equal_slopes_stay_two() -> None:
    constants = {name: np.full((3, 1, 1), 0.5, np.float32) for name in ("b", "c")}
    body = "h = PRelu(x, b) y = PRelu(h, c)"
    for form in ("leaky_relu", "max"):
        after = lowered(OnnxModel(model(body, constants=constants), None), form)
        assert [layer.name for layer in read_layers(after)] == ["b", "c"]


def test_a_plain_leaky_relu_is_no_learned_layer() -> None:
    assert locate_layers([GraphView(OnnxModel(model("y = LeakyRelu(x)"), None))]) == ()


@pytest.mark.parametrize(
    ("forms", "sentence"),
    [
        ({"other": "max"}, "found no PRelu layer 'other' in the model; it has b"),
        ({"b": "max"}, "b cannot be written as 'max': expected prelu, depthwise"),
        ({"b": "abs"}, "b cannot be written as 'abs'"),
    ],
)
def test_what_cannot_be_written_is_refused(forms: dict[str, str], sentence: str) -> None:
    with pytest.raises(PReLUToolsError, match=sentence):
        lower(image_model(ABOVE_ONE), forms)


def test_a_slope_that_something_else_uses_stays() -> None:
    before = image_model(BELOW_ONE, "h = PRelu(x, b) y = Mul(h, b)")
    after = lowered(before, "relu_mul")
    assert "b" in initializers(after.proto)
    assert same(run(before.proto, x=image(VALUES))[0], run(after.proto, x=image(VALUES))[0])


@pytest.mark.parametrize("form", ["relu_mul", "relu_neg", "max", "max_neg", "max_min"])
@pytest.mark.parametrize("shape", [("N,3", (3,)), ("N,3,7", (3, 1)), ("N,3,2,2,2", (3, 1, 1, 1))])
def test_other_ranks(form: str, shape: tuple[str, tuple[int, ...]]) -> None:
    dims, stored = shape
    constants = {"b": np.array(BELOW_ONE, np.float32).reshape(stored)}
    proto = model("y = PRelu(x, b)", f"float[{dims}] x", f"float[{dims}] y", constants)
    before = OnnxModel(proto, None)
    x = np.random.default_rng(0).normal(size=[2, *map(int, dims.split(",")[1:])])
    x = x.astype(np.float32)
    assert same(run(before.proto, x=x)[0], run(lowered(before, form).proto, x=x)[0])


def test_slopes_of_half_precision_keep_their_type() -> None:
    half = IMAGE.replace("float", "float16")
    constants = {"b": np.full((3, 1, 1), 0.3, np.float16)}
    before = OnnxModel(model("y = PRelu(x, b)", f"{half} x", f"{half} y", constants), None)
    for form in ("leaky_relu", "max"):
        (layer,) = read_layers(lowered(before, form))
        assert layer.slopes.dtype == np.float16
        assert (layer.slopes == np.float16(0.3)).all()
