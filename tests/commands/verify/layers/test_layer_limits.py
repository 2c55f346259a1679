"""What each value of a layer may be off, what is said of it, and layers paired by their slopes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judge_rig import EXACT, LAST, SLOPES, Rig, X, Y, bare, flat

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.reference.perturbed import SPREAD
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopediff import LayerPairs
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.core.rounding.tolerance import CALIBRATED, FACTOR, SENSITIVITY, Extent

PAIR = flat(nodes=("one", "two"))
SCALE = 2.0**-8
ROOM = FACTOR * SCALE


def _rounded(*scales: float, run: int = 0, narrow: str = "float32") -> Rig:
    """A reference whose calls are rounded by these scales in one run; each gives Y."""
    rig = Rig([PAIR], [PAIR], SENSITIVITY)
    rig.judge = LayerJudge(rig.reference, [PAIR], Layouts(), SENSITIVITY, narrow=narrow)
    for call, scale in enumerate(scales):
        rig.expect("a", Y * np.float32(call + 1), call, run)
        rig.stash.put((SPREAD, run, "a", call), np.full(Y.shape, scale, np.float32))
    return rig


def _off(rig: Rig, by: float, call: int = 0, kind: Any = np.float32) -> str:
    """The verdict where one value of a call is off."""
    y = (Y * np.float32(call + 1)).astype(kind)
    y[0, 1] += np.float32(by).astype(kind)
    rig.judge.observe("a", call, X * np.float32(call + 1), y)
    watched = rig.judge._watched["a"].along
    assert watched is not None
    return watched.verdict


@pytest.mark.parametrize(("factor", "verdict"), [(0.99, "pass"), (1.02, "fail")])
def test_each_value_may_be_off_by_a_multiple_of_its_own_rounding(
    factor: float, verdict: str
) -> None:
    assert _off(_rounded(SCALE, 1e-9), factor * ROOM) == verdict
    assert _off(_rounded(1e-9, SCALE), factor * ROOM, call=1) == verdict
    later = _rounded(SCALE, 1e-9, run=1)
    later.judge.run = 1
    assert _off(later, factor * ROOM) == verdict


def test_rounding_is_that_of_the_coarsest_type() -> None:
    half = 2.0**13  # times as coarse as float32
    for kind, narrow in ((np.float16, None), (np.float32, "float16")):
        coarse = 2.0**-10 * FACTOR / half
        assert (
            _off(_rounded(coarse / FACTOR, narrow=narrow), 0.9 * half * coarse, 0, kind) == "pass"
        )
        assert (
            _off(_rounded(coarse / FACTOR, narrow=narrow), 1.3 * half * coarse, 0, kind) == "fail"
        )
    assert _off(_rounded(SCALE, narrow="float64"), 0.9 * ROOM) == "pass"
    assert _off(_rounded(SCALE, narrow="float64"), 1.1 * ROOM) == "fail"


def test_a_spread_of_another_shape_says_nothing() -> None:
    rig = _rounded(SCALE)
    rig.stash.put((SPREAD, 0, "a", 0), np.full((1, 3), SCALE, np.float32))
    assert _off(rig, 0.5 * ROOM) == "fail"


def test_whether_an_array_is_what_a_layer_gave_or_was_given() -> None:
    rig = _rounded(SCALE, 1e-9)
    near, far = Y + np.float32(0.9 * ROOM), Y + np.float32(1.1 * ROOM)
    assert rig.judge.agrees("a", Y, near, (0, 0))
    assert not rig.judge.agrees("a", Y, far, (0, 0))
    assert not rig.judge.agrees("a", Y, near, (0, 1))
    assert not rig.judge.agrees("a", Y, near, (1, 0))
    assert not rig.judge.agrees("a", Y, near)
    assert rig.judge.agrees("a", Y, Y)
    rig.judge.run = 1
    assert rig.judge.agrees("a", Y, near, (0, 0))
    assert not rig.judge.agrees("a", Y, np.full_like(Y, np.nan), (0, 0))


# What is said


def _said(rig: Rig) -> tuple[str, str | None, str | None]:
    found = rig.one()
    return found.verdict, found.difference, code_of(found.difference)


def test_a_layer_of_one_slope_may_have_another_shape() -> None:
    for slopes, verdict in ((np.float32([[0.5]]), "pass"), (np.float32([[0.5, 0.25]]), "fail")):
        other = bare("a", slopes.reshape(1, -1, 1), stored_shape=(slopes.size, 1))
        rig = Rig([bare("a", slopes)], [other], x=X[:, :2])
        x = -np.ones((2, slopes.size), np.float32)
        y = (x * slopes).astype(np.float32)
        rig.expect("a", y)
        rig.judge.observe("a", 0, x, y if verdict == "pass" else y[:, :, None])
        assert rig.one().verdict == verdict
    assert _said(rig)[1:] == (
        "a: a slope of shape [2, 1] does not broadcast to an input of [2, 2]: the result has more "
        "axes",
        "layer_shape_differs",
    )


def test_another_number_of_axes_is_explained() -> None:
    rig = Rig([flat()], [flat()])
    rig.expect("a", Y[0])
    rig.judge.observe("a", 0, X, Y)
    assert _said(rig) == (
        "fail",
        "a: its output has shape [2, 3], expected [3]",
        "layer_shape_differs",
    )


def test_what_differs_has_a_code() -> None:
    rig = Rig([flat()], [flat()])
    rig.judge.observe("a", 0, X, np.full_like(Y, np.nan))
    words = "a: in isolation it does not compute PReLU with the reference's slopes"
    assert _said(rig) == ("fail", words, "layer_differs")
    rig = Rig([flat()], [flat()])
    rig.expect("a", Y)
    rig.judge.observe("a", 0, 2 * X, 2 * Y)
    assert _said(rig) == (
        "fail",
        "a: its output differs from the reference's by up to 2",
        "layer_output_differs",
    )
    assert _said(Rig([flat()], [flat("a", 2 * SLOPES)]))[2] == "slopes_differ"
    assert _said(Rig([PAIR], [flat()]))[2] == "layer_calls_differ"
    found = Rig([flat()], [flat(), flat("c")]).judge.parities({})
    assert [code_of(x.difference) for x in found] == [None, "layer_additional"]
    (lost,) = Rig([flat()], []).judge.parities({})
    assert code_of(lost.difference) == "layer_not_found"


def test_a_call_that_its_file_does_not_state_is_one_of_the_layer_s() -> None:
    rig = Rig([flat()], [flat()])
    rig.expect("a", Y)
    rig.judge.observe("a", 7, X, Y)
    assert (rig.one().verdict, rig.one().max_abs_diff) == ("pass", 0.0)


def test_an_end_to_end_error_is_a_note_where_all_outputs_agree() -> None:
    rig = Rig([flat(), flat("b")], [flat(), flat("b", 2 * SLOPES)])
    for name in "ab":
        rig.expect(name, Y)
        rig.judge.observe(name, 0, 2 * X, 2 * Y)
    first, second = rig.judge.parities({}, agreed=True)
    assert (first.verdict, first.difference, first.note) == (
        "pass", None,
        "end-to-end error larger than rounding error; the outputs and the isolated layer agree",
    )  # fmt: skip
    assert second.verdict == "fail"
    assert [x.verdict for x in rig.judge.parities({})] == ["fail", "fail"]


def test_coverage_is_of_slopes_that_a_negative_input_met() -> None:
    x = np.array([[-1, 0, 2]], np.float32)
    rig = Rig([flat()], [flat()], x=x)
    rig.judge.observe("a", 0, x, np.where(x > 0, x, x * SLOPES))
    found = rig.one()
    assert (found.n_by_behaviour, found.coverage, found.least_positions) == (1, 1 / 3, 0)


# Axis orders that the run shows


def _cubes(turned: bool) -> Rig:
    cube = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    mine = bare("a", cube, (None, 3, 3, 3))
    other = replace(mine, slopes=cube.transpose(LAST))
    x = -np.random.default_rng(0).random((1, 3, 3, 3), np.float32)
    rig = Rig([mine], [other], x=x)
    rig.expect("a", x * cube)
    order = LAST if turned else (0, 1, 2, 3)
    rig.judge.observe("a", 0, x.transpose(order), (x * cube).transpose(order))
    return rig


def test_an_axis_order_that_the_shapes_leave_open_is_seen_in_the_run() -> None:
    assert _cubes(turned=True).one().verdict == "pass"
    found = _cubes(turned=False).one()
    assert (found.verdict, code_of(found.difference)) == ("inconclusive", "axis_order_unknown")


# Layers paired by their slopes


def _renamed(*found: Array) -> Rig:
    names = ("a", "b", "c", "d")
    mine = [flat(name, SLOPES * np.float32(n + 1)) for n, name in enumerate(names[:2])]
    return Rig(mine, [flat(name, s) for name, s in zip(names, found, strict=False)])


def test_layers_are_paired_with_those_of_their_slopes() -> None:
    rig = _renamed(2 * SLOPES, SLOPES)
    pairs = rig.judge.paired_by_slopes(["a", "b"])
    assert pairs is not None
    assert [(a.name, b.name) for a, b in pairs.pairs] == [("a", "b"), ("b", "a")]
    assert (pairs.missing, pairs.unexpected) == ((), ())
    judge = LayerJudge(rig.reference, [], Layouts(), EXACT, pairs)
    assert [(x.verdict, x.note) for x in judge.parities({})] == [
        ("pass", f"called {name!r} in the candidate, where other layers have these names")
        for name in "ba"
    ]


def test_only_the_layers_that_are_named_take_others() -> None:
    rig = _renamed(SLOPES, 3 * SLOPES, 2 * SLOPES, SLOPES)
    pairs = rig.judge.paired_by_slopes(["b"])
    assert pairs is not None
    assert [(a.name, b.name) for a, b in pairs.pairs] == [("a", "a"), ("b", "c")]
    assert [x.name for x in pairs.unexpected] == ["b", "d"]
    assert rig.judge.paired_by_slopes([]) is None


def test_layers_without_their_like_stay_as_they_are() -> None:
    assert _renamed(2 * SLOPES, 3 * SLOPES).judge.paired_by_slopes(["a", "b"]) is None
    twice = _renamed(SLOPES, SLOPES)
    assert twice.judge.paired_by_slopes(["b"]) is None


def test_shapes_of_inputs_are_no_slopes() -> None:
    other = replace(flat("b"), input_shape=(None, 3, 4))
    rig = Rig([flat()], [flat("a", 2 * SLOPES), other])
    pairs = rig.judge.paired_by_slopes(["a"])
    assert pairs is not None
    assert pairs.pairs[0][1].name == "b"


def test_sizes_of_inputs_are_no_slopes() -> None:
    """A layer of another place: its axes may be those of the first one exchanged, by the sizes."""
    slopes = SLOPES.reshape(1, 3, 1, 1)
    mine = bare("a", slopes, (None, 3, 5, 3))
    found = [bare("a", 2 * slopes, (None, 3, 5, 3)), bare("b", slopes, (None, 3, 3, 5))]
    pairs = Rig([mine], found).judge.paired_by_slopes(["a"])
    assert pairs is not None
    assert pairs.pairs[0][1].name == "b"


@pytest.mark.parametrize(("y", "strays"), [(Y, False), (2 * Y, True), (Y[:1], True), (None, True)])
def test_whether_a_layer_gives_something_else(y: Array | None, strays: bool) -> None:
    rig = Rig([flat(), flat("b")], [flat(), flat("b")])
    for name in "ab":
        rig.expect(name, Y)
    rig.judge.observe("a", 0, X, Y)
    if y is not None:
        rig.judge.observe("b", 0, X, y)
    assert rig.judge.strays is strays


def test_a_pair_that_is_told_keeps_what_is_missing() -> None:
    pairs = LayerPairs(((flat(), flat()),), (flat("b"),), (flat("c"),))
    rig = Rig([flat(), flat("b")], [])
    judge = LayerJudge(rig.reference, [], Layouts(), EXACT, pairs)
    found: tuple[LayerParity, ...] = judge.parities({"a_node": "CPU"})
    assert [(x.name, x.found, x.provider, x.note) for x in found] == [
        ("a", "pattern", "CPU", None), ("b", "nowhere", None, None), ("c", "additional", None, None)
    ]  # fmt: skip


@pytest.mark.parametrize(("off", "found"), [(0.9, ["x"]), (1.1, [])])
def test_an_additional_layer_has_the_room_of_the_call_that_it_stands_for(
    off: float, found: list[str]
) -> None:
    rig = Rig([PAIR], [flat(), flat("x")], SENSITIVITY)
    rig.expect("a", Y, 0)
    rig.expect("a", 2 * Y, 1)
    rig.stash.put((SPREAD, 0, "a", 1), np.full(Y.shape, SCALE, np.float32))
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("x", 0, 2 * X, 2 * Y + np.float32(off * ROOM))
    assert [name for name, _ in rig.judge.stand_ins("a")] == found


@pytest.mark.parametrize(("off", "found"), [(7.0, ["x"]), (9.0, [])])
def test_an_additional_layer_has_the_room_of_the_layer_that_it_stands_for(
    off: float, found: list[str]
) -> None:
    rig = Rig([PAIR], [flat(), flat("x")], CALIBRATED, a=Extent(1.0, 1.0))
    rig.expect("a", Y, 0)
    rig.expect("a", 100 * Y, 1)
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("x", 0, 100 * X, 100 * Y + np.float32(off))
    assert [name for name, _ in rig.judge.stand_ins("a")] == found


@pytest.mark.parametrize(("off", "is_found"), [(0.9, True), (1.1, False)])
def test_a_call_is_found_within_its_own_room(off: float, is_found: bool) -> None:
    rig = _rounded(0.0, SCALE)
    rig.judge.observe("a", 0, 2 * X, 2 * Y + np.float32(off * ROOM))
    rig.judge.observe("a", 1, X, Y)
    far = rig.one().max_abs_diff
    assert far is not None
    assert (far < 1.0) is is_found


def test_whole_numbers_have_the_room_of_float32() -> None:
    rig = _rounded(1.0)
    whole = np.array([[-4, 8, 16], [1, 2, 3]])
    rig.expect("a", whole)
    rig.judge.observe("a", 0, whole, whole)
    assert rig.one().max_abs_diff == 0.0


@pytest.mark.parametrize(("off", "far"), [(7.0, 7.0), (9.0, 109.0)])
def test_a_call_is_found_within_the_room_of_its_layer(off: float, far: float) -> None:
    rig = Rig([PAIR], [PAIR], CALIBRATED, a=Extent(1.0, 1.0))
    rig.expect("a", np.zeros_like(Y), 0)
    rig.expect("a", np.full_like(Y, 100.0), 1)
    rig.judge.observe("a", 0, X, np.full_like(Y, 100.0 + off))
    assert rig.one().max_abs_diff == far
