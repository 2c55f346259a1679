"""Quantized slopes within half a step are the reference's; and the ranges that inputs stay in."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from made_layers import channels, layer_of

from prelu_tools.commands.verify.inputs.linking import InputLink
from prelu_tools.commands.verify.quantized.layers import codes_of_input
from prelu_tools.commands.verify.quantized.ranges import within_calibration
from prelu_tools.commands.verify.quantized.slopes import (
    _inverted,
    _snap,
    is_coarse,
    pair_snapped,
    steps_of,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.quantized.codes import Codes

STEP = 0.125
MINE = np.array([0.5, -0.25, 0.75, 0.0], np.float32)


def _column(values: Any) -> Array:
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def _flat(values: Array) -> list[float]:
    return cast("list[float]", values.reshape(-1).tolist())


@pytest.mark.parametrize(
    ("shift", "snapped"),
    [
        pytest.param([0.0625, -0.0625, 0.0, 0.06], [1, 1, 1, 1], id="half a step"),
        pytest.param([0.0631, -0.0632, 0.0, 0.06], [1, 0, 1, 1], id="a bit more"),
        pytest.param([0.125, 0.125, -0.125, 1.0], [0, 0, 0, 0], id="a step"),
    ],
)
def test_slopes_within_half_a_step_are_those_of_the_reference(
    shift: list[float], snapped: list[int]
) -> None:
    other = MINE + np.float32(shift)
    found, off = _snap(_column(MINE), _column(other), STEP)
    assert _flat(found) == np.where(snapped, MINE, other).tolist()
    assert off == pytest.approx(np.abs(shift).max())
    assert (found.dtype, found.shape) == (np.float32, (1, 4, 1, 1))


def test_each_slope_has_its_own_step() -> None:
    steps = np.float32([1, 0.01, 1, 0.01])
    found, off = _snap(_column(MINE), _column(MINE + np.float32(0.1)), steps)
    assert _flat(found) == pytest.approx([0.5, -0.15, 0.75, 0.1])
    assert off == pytest.approx(0.1)


def test_slopes_of_floats_stay_and_those_without_a_partner_too() -> None:
    found, off = _snap(_column(MINE), _column(MINE + np.float32(0.01)), 0.0)
    assert (_flat(found), off) == ((MINE + np.float32(0.01)).tolist(), 0.0)
    other = _column([0.5, 0.6])
    found, off = _snap(_column(MINE), other, STEP)
    assert found is other
    assert math.isnan(off)


@pytest.mark.parametrize(("off", "fits"), [(0.0635, True), (0.066, False)])
def test_large_slopes_may_be_off_by_what_a_float_is(off: float, fits: bool) -> None:
    mine = np.float64([1000.0, 1.0]).reshape(1, 2)
    found, _ = _snap(mine, mine + np.array([[off, 0.0]]), STEP)
    assert bool((found == mine).all()) is fits


def test_no_slopes_are_as_they_are() -> None:
    none = np.zeros((1, 0), np.float32)
    found, off = _snap(none, none, STEP)
    assert (found.shape, off) == ((1, 0), 0.0)
    one = np.float32([[0.5]])
    assert _snap(one, none, STEP)[1] == 0.0


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (1, 3, 1, 2), (1, 1, 2, 3)])
def test_they_are_found_in_the_usual_axis_orders(shape: tuple[int, ...]) -> None:
    mine = np.linspace(0.1, 0.9, 6, dtype=np.float32).reshape(1, 2, 3, 1)
    order = {(1, 2, 3, 1): (0, 1, 2, 3), (1, 3, 1, 2): (0, 2, 3, 1), (1, 1, 2, 3): (0, 3, 1, 2)}
    laid = mine.transpose(order[shape])
    found, off = _snap(mine, laid + np.float32(0.04), STEP)
    assert found.shape == shape
    assert np.array_equal(found, laid)
    assert off == pytest.approx(0.04, rel=1e-5)


def test_of_several_orders_the_one_in_which_most_slopes_fit_counts() -> None:
    mine = np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 2, 2)
    turned = mine.transpose(0, 2, 1) + np.float32(0.05)
    found, off = _snap(mine, turned, STEP)
    assert np.array_equal(found, mine.transpose(0, 2, 1))
    assert off == pytest.approx(0.05, rel=1e-4)
    wrong = turned.copy()
    wrong[0, 0, 0] = 9
    found, off = _snap(mine, wrong, STEP)
    assert (found == mine.transpose(0, 2, 1)).sum() == 3
    assert off == pytest.approx(10)


def test_slopes_of_another_rank_are_compared_as_they_lie() -> None:
    alike = np.full((1, 2, 2), 0.5, np.float32)
    assert np.array_equal(_snap(alike, alike + np.float32(0.01), STEP)[0], alike)
    found, off = _snap(MINE, _column(MINE + np.float32(0.05)), STEP)
    assert (found.shape, _flat(found)) == ((1, 4, 1, 1), MINE.tolist())
    found, off = _snap(MINE.reshape(4, 1, 1), _column(MINE + np.float32(0.05)), STEP)
    assert (found.shape, _flat(found)) == ((1, 4, 1, 1), MINE.tolist())
    assert off == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize(("shift", "one"), [(0.06, True), (0.07, False)])
def test_one_slope_that_is_repeated_is_one(shift: float, one: bool) -> None:
    other = _column([0.5, 0.5 + shift, 0.5 - shift / 2])
    found, off = _snap(np.float32([0.5]).reshape(1, 1, 1, 1), other, STEP)
    if one:
        assert (found.shape, _flat(found)) == ((1, 1, 1, 1), [0.5])
        assert off == pytest.approx(shift, rel=1e-5)
    else:
        assert found is other
        assert math.isnan(off)
    flat, _ = _snap(np.float32([0.5]), _column([0.5, 0.52, 0.49]), STEP)
    assert (flat.shape, _flat(flat)) == ((1, 1, 1, 1), [0.5])
    flat, _ = _snap(np.float32([0.5]), np.float32(0.52).reshape(()), STEP)
    assert flat.reshape(-1).tolist() == [0.5]
    several, off = _snap(other, np.float32([0.5]).reshape(1, 1, 1, 1), STEP)
    assert (_flat(several), math.isnan(off)) == ([0.5], True)


@pytest.mark.parametrize(
    ("slopes", "step", "coarse"),
    [([0.5, -2], 0.5, False), ([0.5, -2], 0.51, True), ([0.01], 0.0125, False),
     ([0.01], 0.0126, True), ([], 0.0126, True)],
)  # fmt: skip
def test_a_step_of_a_quarter_of_the_slopes_is_coarse(
    slopes: list[float], step: float, coarse: bool
) -> None:
    assert is_coarse(np.array(slopes, np.float32), step) is coarse


def test_pairs_have_the_slopes_of_the_reference_and_say_how_far_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = {"a": STEP, "x": np.float32([0.5, 0.25, 0.5, 0.5]), "c": 0.0}
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.slopes.slope_step",
                        lambda item: steps[item.layer.name])  # fmt: skip
    located = [
        cast(Any, SimpleNamespace(layer=channels(MINE + np.float32(n), name)))
        for name, n in (("a", 0.03), ("x", 1.1), ("c", 2.3))
    ]
    assert steps_of(located) == steps
    references = [channels(MINE + np.float32(n), name) for n, name in enumerate("abc")]
    snapped = pair_snapped(references, located)
    pairs, apart = snapped.pairs, snapped.apart
    assert snapped.inverted == {}
    assert snapped.widths == {"a": STEP, "b": 0.5, "c": 0.0}
    assert apart == {"a": pytest.approx(0.03, rel=1e-5), "b": pytest.approx(0.1, rel=1e-5), "c": 0}
    slopes = [_flat(other.slopes) for _, other in pairs.pairs]
    assert slopes == [MINE.tolist(), (MINE + 1).tolist(), (MINE + np.float32(2.3)).tolist()]
    assert not any(other.slopes.flags.writeable for _, other in pairs.pairs)
    assert [other.name for _, other in pairs.pairs] == ["a", "x", "c"]
    assert (pairs.missing, pairs.unexpected) == ((), ())
    more = [*references, layer_of(np.float32([[7]]), name="d")]
    assert "d" in [layer.name for layer in pair_snapped(more, located).pairs.missing]


# Ranges


def _meaning(rounded: dict[str, Codes]) -> Any:
    """Each input goes into a node that rounds it: its output is named after it."""
    return _nodes(*(("QuantizeLinear", name[:-1], name) for name in rounded), codes=rounded)


def _codes(scale: float, zero: int, kind: str = "uint8") -> Codes:
    return Codes(np.float32(scale), np.array(zero, kind))


def _linked(rounded: dict[str, Codes] | None, *links: tuple[str, str], graph: bool = True) -> Any:
    def meaning() -> Any:
        if rounded == {}:
            raise PReLUToolsError("it is not known")
        return None if rounded is None else _meaning(rounded)

    found = SimpleNamespace(meaning=meaning) if graph else None
    pairs = tuple(InputLink(mine, other, (0,)) for mine, other in links)
    return SimpleNamespace(source=SimpleNamespace(graph=found), links=pairs)


def _request(**fields: Any) -> Any:
    from prelu_tools.commands.verify.request import VerifyRequest

    return VerifyRequest("r", ("c",), **fields)


XY = (("x", "cx"), ("y", "cy"))
BYTES = {"cxq": _codes(0.5, 100), "cyq": _codes(0.25, 0)}


@pytest.mark.parametrize(
    ("linked", "given", "expected"),
    [
        pytest.param([_linked(BYTES, *XY)], {}, {"x": (-50.0, 77.5), "y": (0.0, 63.75)}, id="both"),
        pytest.param([_linked(BYTES, *XY)], {"x": (0.0, 1.0)}, {"x": (0.0, 1.0), "y": (0.0, 63.75)},
                     id="what the user says stays"),
        pytest.param([_linked(BYTES, *XY)], {"": (0.0, 1.0)}, {"": (0.0, 1.0)}, id="for all"),
        pytest.param([_linked(BYTES, *XY), _linked({"cxq": _codes(0.25, 200)}, *XY)], {},
                     {"x": (-50.0, 13.75), "y": (0.0, 63.75)}, id="what all take"),
        pytest.param([_linked({"cxq": _codes(0.25, 200)}, *XY), _linked(BYTES, *XY)], {},
                     {"x": (-50.0, 13.75), "y": (0.0, 63.75)}, id="in either order"),
        pytest.param([_linked({"cxq": _codes(0.5, 0)}, *XY),
                      _linked({"cxq": _codes(0.5, 255)}, *XY)], {}, {}, id="nothing in common"),
        pytest.param([_linked({"cxq": _codes(0.0, 0)}, *XY)], {}, {}, id="no range"),
        pytest.param([_linked({"cxq": _codes(1.0, 0, "int32")}, *XY)], {},
                     {"x": (-math.inf, math.inf)}, id="any"),
        pytest.param([_linked(None, *XY), _linked({}, *XY), _linked(None, *XY, graph=False),
                      _linked(BYTES, *XY)], {}, {"x": (-50.0, 77.5), "y": (0.0, 63.75)},
                     id="beside others"),
        pytest.param([_linked(None, *XY)], {}, {}, id="in floating point"),
    ],
)  # fmt: skip
def test_inputs_are_drawn_within_the_ranges_of_quantized_candidates(
    linked: Any, given: Any, expected: Any
) -> None:
    request = _request(ranges=given)
    found = within_calibration(linked, request)
    assert found.ranges == expected
    assert (found is request) == (given == expected)


def test_inputs_that_are_given_stay() -> None:
    from pathlib import Path

    linked = [_linked(BYTES, *XY)]
    replayed = _request(inputs_file=Path("d.npz"))
    assert within_calibration(linked, replayed) is replayed
    both = _request(inputs_file=Path("d.npz"), samples=3)
    assert set(within_calibration(linked, both).ranges) == {"x", "y"}
    assert set(within_calibration(linked, _request(samples=3)).ranges) == {"x", "y"}


def _nodes(*nodes: tuple[str, str, str], codes: dict[str, Codes] | None = None) -> Any:
    """What a graph of an operator, its inputs and its outputs means."""
    made = [SimpleNamespace(op_type=o, input=x.split(), output=y.split()) for o, x, y in nodes]
    proto = SimpleNamespace(graph=SimpleNamespace(node=made))
    codes = codes or {"q": _codes(0.5, 1), "r": _codes(0.5, 2)}
    return SimpleNamespace(model=SimpleNamespace(proto=proto), rounded=tuple(codes), codes=codes)


@pytest.mark.parametrize(
    ("nodes", "zero"),
    [
        ([("Identity", "x", "q")], 1),
        ([("Conv", "a x", "q")], 1),
        ([("Transpose", "x", "t"), ("Relu", "t", "r")], 2),
        ([("Transpose", "x", "t"), ("Reshape", "t s", "u"), ("Relu", "u", "r")], 2),
        ([("Transpose", "x", "t"), ("Identity", "x", "q"), ("Relu", "t", "r")], 1),
        ([("Relu", "x", "t"), ("Relu", "t", "r")], None),
        ([("Reshape", "a x", "t"), ("Relu", "t", "r")], None),
        ([("Sink", "x", ""), ("Identity", "x", "q")], 1),
        ([], None),
    ],
)
def test_the_codes_that_a_tensor_is_rounded_to(
    nodes: list[tuple[str, str, str]], zero: int | None
) -> None:
    found = codes_of_input(_nodes(*nodes), "x")
    assert (None if found is None else int(found.zero)) == zero


def test_layers_that_are_taken_apart_have_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.slopes.slope_step",
                        lambda _item: STEP)  # fmt: skip
    both = replace(channels(MINE, "both"), nodes=("n1", "n2"), same_instance=False)
    references = [channels(MINE, "a"), channels(MINE, "b")]
    snapped = pair_snapped(references, [cast(Any, SimpleNamespace(layer=both))])
    assert snapped.widths == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize(
    ("mine", "other", "step", "turned"),
    [
        ([2.0, 0.5, 4.0], [0.5, 0.5, 0.25], 0.0, [1, 0, 1]),
        ([2.0, 0.5, 4.0], [2.0, 0.5, 0.25], 0.0, [0, 0, 1]),
        ([2.0, 0.5, 4.0], [2.0, 2.0, 4.0], 0.0, [0, 0, 0]),
        ([1.0, -2.0, 1.5], [1.0, -0.5, 1.5], 0.0, [0, 0, 0]),
        ([1.25, 3.0, 3.0], [0.8, 3.0, 3.0], 0.0, [1, 0, 0]),
        ([2.0, 0.5, 4.0], [0.5001, 0.5, 0.25], 0.0, [0, 0, 1]),
        ([2.0, 0.5, 4.0], [0.50000006, 0.5, 0.25], 0.0, [0, 0, 1]),
        ([2.0, 0.5, 4.0], [9.0, 9.0, 9.0], 0.0, [0, 0, 0]),
        ([2.0, 0.5, 4.0], [0.54, 0.5, 0.3], 0.125, [1, 0, 1]),
        ([2.0, 0.5, 4.0], [0.57, 0.5, 0.3], 0.125, [0, 0, 1]),
        ([1.05, 0.5, 4.0], [1.0, 0.5, 4.0], 0.125, [0, 0, 0]),
    ],
)
def test_slopes_above_1_may_be_inverted(
    mine: list[float], other: list[float], step: float, turned: list[int]
) -> None:
    found = _inverted(_column(mine), _column(other), step)
    assert (found.dtype, found.shape) == (bool, (1, 3, 1, 1))
    assert found.reshape(-1).tolist() == list(map(bool, turned))


def test_inverted_slopes_are_laid_as_the_reference_has_them() -> None:
    mine = np.float32([[[2.0, 0.25], [0.75, 0.5]]])
    laid = mine.transpose(0, 2, 1).copy()
    laid[0, 0, 0] = 0.5
    assert _inverted(mine, laid, 0.0).tolist() == [[[True, False], [False, False]]]
    one = np.float32([4.0]).reshape(1, 1, 1, 1)
    assert _inverted(one, np.float32(0.25).reshape(1, 1, 1, 1), 0.0).tolist() == [[[[True]]]]


@pytest.mark.parametrize(
    ("mine", "other", "turned"),
    [
        ([[3.0, 0.5], [2.0, 7.0]], [[3.0, 0.5], [2.0, 7.0]], [[0, 0], [0, 0]]),
        ([[3.0, 0.5], [2.0, 7.0]], [[3.0, 2.0], [0.5, 7.0]], [[0, 0], [0, 0]]),
        ([[3.0, 0.5], [2.0, 7.0]], [[3.0, 0.5], [2.0, 1 / 7]], [[0, 0], [0, 1]]),
        ([[3.0, 4.0], [2.0, 7.0]], [[3.0, 0.5], [0.25, 1.0]], [[0, 1], [1, 0]]),
        ([[3.0, 4.0], [4.0, 7.0]], [[3.0, 4.0], [0.25, 7.0]], [[0, 0], [1, 0]]),
        ([[3.0, 0.7], [0.6, 0.1]], [[0.9, 0.7], [0.6, 0.9]], [[0, 0], [0, 0]]),
    ],
    ids=["as it is", "turned round", "as it is, one inverted", "turned, two inverted",
         "in both orders", "nothing fits everywhere"],
)  # fmt: skip
def test_the_order_in_which_most_slopes_fit_says_which_are_inverted(
    mine: Any, other: Any, turned: Any
) -> None:
    found = _inverted(np.float32([mine]), np.float32([other]), 0.0)
    assert found.tolist() == [np.array(turned, bool).tolist()]


def test_pairs_have_the_inverse_where_the_candidate_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.slopes.slope_step", lambda _: 0.0)
    mine = np.float32([2.0, 0.5, 4.0])
    located = [cast(Any, SimpleNamespace(layer=channels(np.float32([0.5, 0.5, 0.25]), "a")))]
    found = pair_snapped([channels(mine, "a")], located)
    ((left, right),) = found.pairs.pairs
    assert _flat(left.slopes) == _flat(right.slopes) == [0.5, 0.5, 0.25]
    assert left.slopes.dtype == np.float32
    assert not left.slopes.flags.writeable
    assert found.inverted["a"].reshape(-1).tolist() == [True, False, True]
    plain = pair_snapped([channels(mine, "a")],
                         [cast(Any, SimpleNamespace(layer=channels(mine, "a")))])  # fmt: skip
    assert plain.inverted == {}
