"""What is constant is folded, and the model computes what it did before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest
from graph_text import IMAGE, SLOPES, Array, initializers, model, numbers, operators, run, whole

from prelu_tools.core.arrays import same_bits
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.passes.cleaning.folding import (
    attach_weights,
    fix_reshapes,
    fold_batch_normalization,
    fold_constants,
)

X = numbers(2, 3, 4, 5)
ROW = np.array([2, -3, 0.5, 1], np.float32)
CONSTANTS: Mapping[str, Array | float] = {
    "w": numbers(4, 3, 1, 1, seed=1),
    "w3": numbers(4, 3, 3, 3, seed=2),
    "w_group": numbers(3, 1, 1, 1, seed=3),
    "w_one": numbers(1, 3, 1, 1, seed=3),
    "v": numbers(4, seed=4),
    "scale": ROW.reshape(1, 4, 1, 1),
    "shift": numbers(4, 1, 1, seed=5),
    "scale3": SLOPES.reshape(1, 3, 1, 1),
    "by_column": numbers(5, seed=6),
    "by_place": numbers(1, 4, 4, 5, seed=7),
    "by_batch": numbers(2, 1, 1, 1, seed=7),
    "high": np.ones((1, 1, 1, 1, 1), np.float32),
    "to_w": np.array([4, 3, 1, 1]),
    "w_flat": numbers(12, seed=1),
    "one_row": np.ones((1,), np.float32),
    "flat": SLOPES,
    "behind": np.array([1, 2]),
    "sizes": np.array([-1, 60]),
}
MAPS = "float[N,4,H,W] y"


def _model(body: str, outputs: str = MAPS, inputs: str = f"{IMAGE} x") -> onnx.ModelProto:
    return model(body, inputs, outputs, CONSTANTS)


def _after(
    step: Callable[[OnnxModel], None], proto: onnx.ModelProto, **feeds: Array
) -> onnx.ModelProto:
    """The model after a step, which computes what it did before (in float32)."""
    feeds = feeds or {"x": X}
    before = run(proto, **feeds)
    step(whole(proto))
    onnx.checker.check_model(proto, full_check=True)
    for ours, expected in zip(run(proto, **feeds), before, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-5)
    return proto


FOLDED = {
    "scale": "c = Conv(x, w) y = Mul(c, scale)",
    "scale first": "c = Conv(x, w) y = Mul(scale, c)",
    "shift": "c = Conv(x, w) y = Add(c, shift)",
    "shift, with a bias": "c = Conv(x, w, v) y = Add(shift, c)",
    "scale and shift": "c = Conv(x, w) m = Mul(c, scale) y = Add(m, shift)",
    "scale and shift, with a bias": "c = Conv(x, w, v) m = Mul(c, scale) y = Add(m, shift)",
    "shift and scale": "c = Conv(x, w) m = Add(c, shift) y = Mul(m, scale)",
    "twice": "c = Conv(x, w, v) m = Mul(c, scale) a1 = Add(m, shift) m2 = Mul(scale, a1) "
    "y = Add(m2, shift)",
    "a wide kernel": "c = Conv<pads = [1, 1, 1, 1]>(x, w3, v) m = Mul(c, scale) y = Add(m, shift)",
    "one value for all": "c = Conv(x, w, v) m = Mul(c, two) y = Add(m, half)",
    "a value in a row": "c = Conv(x, w, v) m = Mul(c, one_row) y = Add(m, one_row)",
    "a kernel behind a reshape": "k = Reshape(w_flat, to_w) c = Conv(x, k) y = Mul(c, scale)",
    "a scale behind a node": "n = Neg(scale) c = Conv(x, w) y = Mul(c, n)",
}


@pytest.mark.parametrize("body", FOLDED.values(), ids=FOLDED.keys())
def test_a_scale_and_shift_for_each_channel_are_folded(body: str) -> None:
    assert operators(_after(fold_batch_normalization, _model(body))) == ["Conv"]


def test_a_depthwise_convolution_is_folded_too() -> None:
    body = "c = Conv<group = 3>(x, w_group) m = Mul(c, scale3) y = Add(m, scale3)"
    assert operators(_after(fold_batch_normalization, _model(body, f"{IMAGE} y"))) == ["Conv"]


def test_convolutions_in_a_row_are_folded_each() -> None:
    body = (
        "[one] c = Conv(x, w) m = Mul(c, scale) r = Relu(m) k = Reshape(w_flat, to_back) "
        "[two] d = Conv(r, k) y = Mul(d, scale3)"
    )
    proto = model(body, outputs=f"{IMAGE} y", constants={**CONSTANTS, "to_back": [3, 4, 1, 1]})
    assert operators(_after(fold_batch_normalization, proto)) == ["Conv", "Relu", "Conv"]


def test_folding_is_done_in_float64() -> None:
    generator = np.random.default_rng(0)
    w, scale, shift = (
        generator.normal(size=shape).astype(np.float32)
        for shape in [(4, 3, 1, 1), (1, 4, 1, 1), (1, 4, 1, 1)]
    )
    constants = {"w": w, "s": scale, "t": shift, "b": shift.ravel()}
    proto = model(
        "c = Conv(x, w, b) m = Mul(c, s) y = Add(m, t)", outputs=MAPS, constants=constants
    )
    fold_batch_normalization(whole(proto))
    weight, bias = (initializers(proto)[name] for name in proto.graph.node[0].input[1:])
    wide = scale.reshape(4, 1, 1, 1).astype(np.float64)
    assert same_bits(weight, (w.astype(np.float64) * wide).astype(np.float32))
    scaled = (shift.ravel().astype(np.float64) * wide.ravel()).astype(np.float32)
    expected = (scaled.astype(np.float64) + shift.ravel()).astype(np.float32)
    assert same_bits(bias, expected)


NOT_FOLDED = {
    "used twice": ("c = Conv(x, w) m = Mul(c, scale) y = Add(m, c)", MAPS),
    "squared": ("c = Conv(x, w) y = Mul(c, c)", MAPS),
    "an output too": ("c = Conv(x, w) y = Mul(c, scale)", f"{MAPS}, float[N,4,H,W] c"),
    "for each column": ("c = Conv(x, w) y = Mul(c, by_column)", MAPS),
    "for each place": ("c = Conv(x, w) y = Add(c, by_place)", MAPS),
    "for each row of the batch": ("c = Conv(x, w) y = Mul(c, by_batch)", MAPS),
    "a residual": ("c = Conv(x, w) d = Conv(x, w) r = Relu(d) y = Add(c, r)", MAPS),
    "of more axes": ("c = Conv(x, w) y = Mul(c, high)", "float[1,N,4,H,W] y"),
    "divided": ("c = Conv(x, w) y = Div(c, scale)", MAPS),
    "subtracted": ("c = Conv(x, w) y = Sub(scale, c)", MAPS),
    "behind an activation": ("c = Conv(x, w) r = Relu(c) y = Mul(r, scale)", MAPS),
    "a kernel that is computed": ("k = custom.Op(w) c = Conv(x, k) y = Mul(c, scale)", MAPS),
    "a bias that is computed": ("b = custom.Op(v) c = Conv(x, w, b) y = Mul(c, scale)", MAPS),
}


@pytest.mark.parametrize(("body", "outputs"), NOT_FOLDED.values(), ids=NOT_FOLDED.keys())
def test_what_is_no_batch_normalisation_stays(body: str, outputs: str) -> None:
    proto = _model(body, outputs)
    before = proto.SerializeToString()
    fold_batch_normalization(whole(proto))
    assert proto.SerializeToString() == before


def test_a_scale_that_gives_one_channel_several_stays() -> None:
    proto = _model("c = Conv(x, w_one) y = Mul(c, scale)")
    assert operators(_after(fold_batch_normalization, proto)) == ["Conv", "Mul"]


def test_two_convolutions_without_a_name_keep_their_own_weights() -> None:
    body = "c = Conv(x, w) y = Mul(c, scale) d = Conv(x, w) z = Mul(d, shift)"
    _after(fold_batch_normalization, _model(body, f"{MAPS}, float[N,4,H,W] z"))


def test_a_convolution_that_a_body_reads_stays() -> None:
    body = (
        "c = Conv(x, w) p = Cast<to = 9>(flag) m = Mul(c, scale) t = If(p) <then_branch = yes () "
        "=> (float[N,4,H,W] u) { u = Neg(c) }, else_branch = no () => (float[N,4,H,W] q) "
        "{ q = Relu(c) }> y = Add(m, t)"
    )
    proto = _model(body, inputs=f"{IMAGE} x, float[1] flag")
    _after(fold_batch_normalization, proto, x=X, flag=np.ones(1, np.float32))


CONSTANT = {
    "one node": ("k = Neg(scale3) y = Mul(x, k)", ["Mul"]),
    "a chain": ("i = Identity(flat) u = Unsqueeze(i, behind) k = Neg(u) y = Mul(x, k)", ["Mul"]),
    "used by two": ("k = Neg(scale3) m = Mul(x, k) y = Add(m, k)", ["Mul", "Add"]),
    "nothing to fold": ("r = Relu(x) y = Mul(r, scale3)", ["Relu", "Mul"]),
    "a constant node": ("k = Constant<value = float {2.0}>() n = Neg(k) y = Mul(x, n)", ["Mul"]),
}


@pytest.mark.parametrize(("body", "left"), CONSTANT.values(), ids=CONSTANT.keys())
def test_what_depends_on_parameters_only_is_folded(body: str, left: list[str]) -> None:
    proto = _after(fold_constants, _model(body, f"{IMAGE} y"))
    assert [op for op in operators(proto) if op != "Constant"] == left


def test_a_folded_constant_keeps_the_name_of_its_tensor() -> None:
    proto = _model("k = Neg(scale3) y = Mul(x, k)", f"{IMAGE} y")
    fold_constants(whole(proto))
    assert same_bits(initializers(proto)["k"], -SLOPES.reshape(1, 3, 1, 1))
    assert set(initializers(proto)) == {"k"}


def test_a_constant_output_is_folded() -> None:
    proto = _model("k = Neg(flat) y = Relu(x)", f"{IMAGE} y, float[3] k")
    assert operators(_after(fold_constants, proto)) == ["Relu"]


def test_a_constant_between_two_others_is_folded_once() -> None:
    body = "n = Neg(scale3) i = Identity(n) m = Mul(x, n) y = Add(m, i)"
    _after(fold_constants, _model(body, f"{IMAGE} y"))


def test_graph_inputs_become_initializers() -> None:
    proto = model(
        "m = Mul(x, k) y = Add(m, b)", f"{IMAGE} x, float[3,1,1] k, float b", f"{IMAGE} y"
    )
    column = np.asfortranarray(numbers(3, 1, 1))
    attach_weights(whole(proto), {"k": column, "b": np.float32(2)})
    assert [value.name for value in proto.graph.input] == ["x"]
    assert same_bits(initializers(proto)["k"], column)
    assert np.array_equal(run(proto, x=X)[0], X * column + 2)


def test_a_weight_that_is_not_contiguous_is_attached_in_order() -> None:
    proto = model("y = Add(x, k)", f"{IMAGE} x, float[3,4,5] k", f"{IMAGE} y")
    values = numbers(5, 4, 3).transpose(2, 1, 0)
    attach_weights(whole(proto), {"k": values})
    assert np.array_equal(initializers(proto)["k"], values)


DYNAMIC = "s = Shape(x) i = Gather(s, nought) u = Unsqueeze(i, first) c = Concat<axis = 0>({}) "
INDICES: Mapping[str, Array | float] = {
    "nought": np.array(0), "first": np.array([0]), "sixty": np.array([60]), "any": np.array([-1]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("order", "outputs", "target"),
    [("u, sixty", "float[N,60] y", [-1, 60]), ("sixty, u", "float[60,N] y", [60, -1])],
)
def test_a_target_with_one_dynamic_size_becomes_a_constant(
    order: str, outputs: str, target: list[int]
) -> None:
    body = f"{DYNAMIC.format(order)} y = Reshape(x, c)"
    proto = _after(fix_reshapes, model(body, outputs=outputs, constants=INDICES))
    assert operators(proto) == ["Reshape"]
    (shape,) = initializers(proto).values()
    assert shape.tolist() == target
    assert shape.dtype == np.int64


@pytest.mark.parametrize(
    ("body", "inputs", "outputs"),
    [
        pytest.param("y = Reshape(x, target)", f"{IMAGE} x, int64[2] target", "float[A,B] y",
                     id="unknown sizes"),
        pytest.param("s = Shape(z) y = Reshape(x, s)", f"{IMAGE} x, float[A,B,60] z",
                     "float[A,B,60] y", id="two dynamic sizes"),
        pytest.param("y = Reshape(x, sizes)", f"{IMAGE} x", "float[N,60] y", id="constant already"),
    ],
)  # fmt: skip
def test_another_target_stays(body: str, inputs: str, outputs: str) -> None:
    proto = _model(body, outputs, inputs)
    before = proto.SerializeToString()
    fix_reshapes(whole(proto))
    assert proto.SerializeToString() == before


def test_a_single_number_stays_one() -> None:
    proto = model("two_ = Add(one, one) y = Mul(x, two_)")
    fold_constants(whole(proto))
    assert operators(proto) == ["Mul"]
    assert initializers(proto)["two_"].shape == ()
