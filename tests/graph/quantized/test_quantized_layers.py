"""The layers of a quantized graph: their names, their slopes once, and the steps of these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from graph_text import Array, parsed, view, whole
from onnx import numpy_helper

from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.quantized.layers import quantized_layers, slope_step

SLOPES = np.array([20, -40, 60], np.int8)


def _model(body: str, **constants: Any) -> onnx.ModelProto:
    text = f"""<ir_version: 9, opset_import: ["": 21]>
        graph (float[N,3,4,5] x) => (float[N,3,4,5] y) {{ {body} }}"""
    return parsed(text, constants)


def _found(proto: onnx.ModelProto) -> tuple[LocatedLayer, ...]:
    return quantized_layers(locate_layers([view(proto)]))


def _column(values: Any) -> Array:
    return np.asarray(values).reshape(3, 1, 1)


def _stored(name: str = "act.weight_quantized", call: str = "y = PRelu(x, s)") -> onnx.ModelProto:
    proto = _model(f"s = DequantizeLinear(k, scale) {call}", k=_column(SLOPES),
                   scale=np.float32(0.01))  # fmt: skip
    for tensor in proto.graph.initializer:
        tensor.name = name if tensor.name == "k" else tensor.name
    proto.graph.node[0].input[0] = name
    return proto


@pytest.mark.parametrize("suffix", ["", "_quantized"])
def test_layers_are_called_as_before_they_were_quantized(suffix: str) -> None:
    (found,) = locate_layers([view(_stored(f"act.weight{suffix}"))])
    named = replace(found.layer, parameter=f"act.weight{suffix}")
    (plain,) = quantized_layers([found])
    assert (plain.layer.name, plain.layer.parameter) == ("act", None)
    (plain,) = quantized_layers([LocatedLayer(named, found.calls)])
    assert (plain.layer.name, plain.layer.parameter) == ("act", "act.weight")


def test_a_name_that_is_taken_stays() -> None:
    proto = _stored(call="t = PRelu(x, s) y = PRelu(t, act)")
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(_column([1, 2, 3])), "act"))
    assert [item.layer.name for item in _found(proto)] == ["act.weight_quantized", "act"]


@pytest.mark.parametrize(
    ("slopes", "shape"),
    [
        (np.float32([[1, 2], [1, 2], [1, 2]]), (1, 2)),
        (np.float32([[1, 1], [2, 2], [3, 3]]), (3, 1)),
        (np.float32([[1, 1], [2, 2], [3, 4]]), (3, 2)),
        (np.float32([[5, 5], [5, 5]]), (1, 1)),
        (np.float32([[5, 5]]), (1, 2)),
        (np.float32([[[1, 2]], [[1, 2]]]), (1, 1, 2)),
    ],
)
def test_repeated_slopes_count_once(slopes: Array, shape: tuple[int, ...]) -> None:
    from prelu_tools.graph.quantized.layers import _once

    found = _once(slopes)
    assert found.shape == shape
    assert np.array_equal(np.broadcast_to(found, slopes.shape), slopes)
    assert found is slopes or not found.flags.writeable


def test_the_slopes_of_a_layer_and_of_its_calls_count_once() -> None:
    body = "t = PRelu(x, a) y = PRelu(t, a)"
    wide = np.broadcast_to(_column(np.float32([1, 2, 3])), (3, 4, 5)).copy()
    (found,) = _found(_model(body, a=wide))
    assert found.layer.slopes.shape == (1, 3, 1, 1)
    assert [match.slopes.size for match in found.matches] == [3, 3]


@pytest.mark.parametrize(
    ("scale", "step"),
    [(0.01, 0.01), ([0.01], 0.01), ([0.01, 0.02, 0.005], [0.01, 0.02, 0.005])],
)
def test_the_step_is_that_of_the_stored_slopes(scale: Any, step: Any) -> None:
    body = "s = DequantizeLinear<axis = 0>(k, scale) y = PRelu(x, s)"
    (found,) = _found(_model(body, k=_column(SLOPES), scale=np.float32(scale)))
    np.testing.assert_allclose(slope_step(found), step)
    assert np.ndim(slope_step(found)) == np.ndim(step)


def test_the_widest_step_of_all_that_slopes_are_made_of_counts() -> None:
    body = """s = DequantizeLinear(k, scale) n = Neg(s) m = Neg(n)
        p = Relu(x) q = Neg(x) r = Relu(q) u = Mul(r, m) y = Sub(p, u)"""
    proto = _model(body, k=_column(SLOPES), scale=np.float32(0.01))
    assert slope_step(locate_layers([view(proto)])[0]) == pytest.approx(0.01)
    floats = _model("y = PRelu(x, a)", a=_column(np.float32([1, 2, 3])))
    assert slope_step(_found(floats)[0]) == 0.0
    assert len(_found(floats)) == len(locate_layers([view(whole(floats).proto)])) == 1


def test_of_several_calls_the_widest_counts() -> None:
    body = """s = DequantizeLinear(k, scale) t = DequantizeLinear(l, wide)
        u = PRelu(x, s) y = PRelu(u, t)"""
    proto = _model(body, k=_column(SLOPES), scale=np.float32(0.01), l=_column(SLOPES),
                   wide=np.float32(0.03))  # fmt: skip
    first, second = _found(proto)
    both = LocatedLayer(first.layer, (*second.calls, *first.calls))
    assert slope_step(both) == pytest.approx(0.03)
    assert slope_step(LocatedLayer(first.layer, both.calls[::-1])) == pytest.approx(0.03)
    assert slope_step(first) == pytest.approx(0.01)


MADE = {
    "of two": ("w = DequantizeLinear(k, wide) v = DequantizeLinear(l, scale) s = Add(w, v)", 0.03),
    "in the other order": (
        "w = DequantizeLinear(k, wide) v = DequantizeLinear(l, scale) s = Add(v, w)", 0.03),
    "one of them negated": ("""w = DequantizeLinear(k, wide) v = DequantizeLinear(l, scale)
                            n = Neg(v) s = Add(w, n)""", 0.03),
    "times a number": ("v = DequantizeLinear(l, scale) s = Mul(v, one)", 0.01),
    "of as wide ones": ("""w = DequantizeLinear<axis = 0>(k, each) v = DequantizeLinear(l, wide)
                        s = Add(w, v)""", 0.03),
    "in blocks of one": ("s = DequantizeLinear<axis = 0, block_size = 1>(k, blocks)",
                         [0.01, 0.02, 0.03]),
    "doubled again and again": (
        "t0 = DequantizeLinear(l, scale) " + " ".join(f"t{n + 1} = Add(t{n}, t{n})"
                                                      for n in range(40))
        + " s = Identity(t40)", 0.01),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_the_step_of_slopes_that_are_made_of_others(name: str) -> None:
    body, step = MADE[name]
    proto = _model(
        f"{body} y = PRelu(x, s)", k=_column(SLOPES), l=_column(SLOPES[::-1]), one=np.float32(1),
        wide=np.float32(0.03), scale=np.float32(0.01), each=np.float32([0.01, 0.02, 0.03]),
        blocks=_column(np.float32([0.01, 0.02, 0.03])),
    )  # fmt: skip
    found = slope_step(locate_layers([view(proto)])[0])
    np.testing.assert_allclose(found, step)
    assert np.ndim(found) == np.ndim(step)


def test_the_step_of_what_goes_in_is_not_that_of_the_slopes() -> None:
    body = """v = DequantizeLinear(l, wide) u = Add(x, v) s = DequantizeLinear(k, scale)
        y = PRelu(u, s)"""
    proto = _model(body, k=_column(SLOPES), l=_column(SLOPES), wide=np.float32(0.5),
                   scale=np.float32(0.01))  # fmt: skip
    assert slope_step(locate_layers([view(proto)])[0]) == pytest.approx(0.01)


def test_the_widest_of_calls_with_a_step_for_each_slope() -> None:
    body = """s = DequantizeLinear<axis = 0>(k, each) t = DequantizeLinear<axis = 0>(l, others)
        u = PRelu(x, s) y = PRelu(u, t)"""
    each, others = [0.01, 0.02, 0.03], [0.015, 0.04, 0.01]
    proto = _model(body, k=_column(SLOPES), l=_column(SLOPES), each=np.float32(each),
                   others=np.float32(others))  # fmt: skip
    first, second = locate_layers([view(proto)])
    both = LocatedLayer(first.layer, (*first.calls, *second.calls))
    np.testing.assert_allclose(slope_step(both), others)
