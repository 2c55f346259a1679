"""Which call of the reference's layer a call of a candidate's is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from judge_rig import EXACT, SLOPES, Rig, X, Y, bare, flat

from prelu_tools.commands.verify.layers.isolated import axis_orders, turned_orders
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.rounding.tolerance import Extent

THREE = flat(nodes=("one", "two", "three"))
FACTORS = (1, 2, 4)


def _given(order: Sequence[int], runs: int = 1) -> Rig:
    """A reference of three calls, and a candidate whose calls come in this order."""
    rig = Rig([THREE], [THREE])
    for run in range(runs):
        rig.judge.run = run
        for call, factor in enumerate(FACTORS):
            rig.expect("a", factor * Y, call, run)
        for call, place in enumerate(order):
            rig.judge.observe("a", call, FACTORS[place] * X, FACTORS[place] * Y)
    return rig


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_calls_may_come_in_any_order(order: tuple[int, ...]) -> None:
    found = _given(order, runs=2).one()
    assert (found.verdict, found.max_abs_diff) == ("pass", 0.0)


@pytest.mark.parametrize("order", [(0, 0, 1), (1, 1, 2), (2, 2, 2)])
def test_no_call_is_two_of_the_reference_s(order: tuple[int, ...]) -> None:
    found = _given(order).one()
    assert found.verdict == "fail"
    assert found.difference is not None
    assert "its output differs" in found.difference


def test_a_call_too_many_is_compared_with_the_one_that_it_is() -> None:
    rig = Rig([flat(nodes=("one", "two"))], [THREE])
    rig.expect("a", Y, 0)
    rig.expect("a", 2 * Y, 1)
    rig.judge.observe("a", 0, 2 * X, 2 * Y)
    assert rig.judge.left_over("a")
    rig.judge.observe("a", 1, 2 * X, 2 * Y)
    assert rig.judge.left_over("a")
    rig.judge.observe("a", 2, X, Y)
    assert not rig.judge.left_over("a")
    assert rig.one().max_abs_diff == 0.0


def test_a_call_too_many_that_is_none_of_them_is_compared_with_its_own_number() -> None:
    rig = Rig([flat(nodes=("one", "two"))], [THREE])
    rig.expect("a", Y, 0)
    rig.expect("a", 2 * Y, 1)
    rig.judge.observe("a", 0, 3 * X, 3 * Y)
    assert rig.one().max_abs_diff == 2 * float(np.abs(Y).max())


def test_a_call_that_the_reference_did_not_show_is_another_one_only_where_it_is_the_same() -> None:
    pair = flat(nodes=("one", "two"))
    for factor, difference in ((1, 0.0), (4, None)):
        rig = Rig([pair], [pair])
        rig.expect("a", Y, 1)
        rig.judge.observe("a", 0, factor * X, factor * Y)
        assert rig.one().max_abs_diff == difference


def test_what_is_like_no_call_is_compared_with_its_own_number() -> None:
    """Though another one is nearer."""
    pair = flat(nodes=("one", "two"))
    rig = Rig([pair], [pair])
    rig.expect("a", Y, 0)
    rig.expect("a", 3 * Y, 1)
    rig.judge.observe("a", 0, 4 * X, 4 * Y)
    assert rig.one().max_abs_diff == 3 * float(np.abs(Y).max())


def test_a_call_of_nan_proves_nothing_wherever_it_stands() -> None:
    pair = flat(nodes=("one", "two"))
    rig = Rig([pair], [pair])
    rig.expect("a", np.full_like(Y, np.nan), 0)
    rig.expect("a", Y, 1)
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("a", 1, np.full_like(X, np.nan), np.full_like(Y, np.nan))
    assert rig.one().verdict == "inconclusive"


def test_what_is_within_the_limit_of_its_own_number_looks_no_further() -> None:
    """Its own extent is the limit; another call would be nearer."""
    pair = flat(nodes=("one", "two"))
    room = Tolerance(0.0, 0.125, scaled=True, origin="given")
    rig = Rig([pair], [pair], room, a=Extent(8.0, 8.0))
    rig.expect("a", Y, 0)
    rig.expect("a", 1.0625 * Y, 1)
    rig.judge.observe("a", 0, 1.0625 * X, 1.0625 * Y)
    rig.judge.observe("a", 1, X, Y)
    assert (rig.one().verdict, rig.one().max_abs_diff) == ("pass", 0.125)


def test_what_two_files_state_is_of_their_common_source() -> None:
    slopes = np.linspace(-1, 1, 3, dtype=np.float32).reshape(1, 3, 1, 1)
    mine = bare("a", slopes, axes=(0, 3, 1, 2))
    other = bare("a", slopes, axes=(0, 3, 1, 2))
    assert axis_orders(mine, other, (2, 3, 3, 3), (2, 3, 3, 3)) == ((0, 1, 2, 3),)


def test_what_is_stated_is_of_the_first_call_alone() -> None:
    square = np.linspace(-1, 1, 9, dtype=np.float32).reshape(1, 3, 3)
    mine = bare("a", square)
    other = bare("a", square, axes=(0, 2, 1), nodes=("one", "two"))
    assert axis_orders(mine, other, (2, 3, 3), (2, 3, 3))[0] == (0, 2, 1)
    assert (0, 1, 2) in axis_orders(mine, other, (2, 3, 3), (2, 3, 3))
    alone = bare("a", square, axes=(0, 2, 1))
    assert axis_orders(mine, alone, (2, 3, 3), (2, 3, 3)) == ((0, 2, 1),)


def test_slopes_lie_as_a_call_has_its_axes() -> None:
    """The first call has its channels first, the second last, in both models."""
    slopes = SLOPES.reshape(1, 3, 1, 1)
    pair = bare("a", slopes, (None, 3, 2, 5), nodes=("one", "two"))
    x = -np.ones((1, 2, 5, 3), np.float32)
    rig = Rig([pair], [pair], EXACT, x=-np.ones((1, 3, 2, 5), np.float32))
    rig.expect("a", x * SLOPES, 1)
    rig.judge.observe("a", 1, x, x * SLOPES)
    assert (rig.one().verdict, rig.one().max_ulp_diff) == ("pass", 0)


@pytest.mark.parametrize(
    ("mine", "theirs", "ulps_apart"),
    [(False, False, 6), (True, False, 2), (False, True, 2), (True, True, 2)],
)
def test_what_adds_parts_that_cancel_rounds_as_its_input_does(
    mine: bool, theirs: bool, ulps_apart: int
) -> None:
    """Whichever side has the form that does; a quarter of 1 has units of a quarter of the size."""
    rig = Rig([flat(rounds=mine)], [flat(rounds=theirs)])
    y = Y.copy()
    y[0, 0] += 6 * np.spacing(np.float32(0.25))
    rig.judge.observe("a", 0, X, y)
    assert rig.one().max_ulp_diff == ulps_apart


def test_a_part_of_a_layer_is_the_first_call_of_its_own() -> None:
    whole = flat("s", nodes=("a", "b"), same_instance=False, positions=(0, 1))
    rig = Rig([flat("a"), flat("b")], [whole])
    rig.expect("a", Y)
    rig.expect("b", Y)
    rig.judge.observe("s", 0, X, Y + 1)
    rig.judge.observe("s", 1, X, Y + 2)
    assert [found.max_abs_diff for found in rig.judge.parities({})] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("slopes", "words"),
    [
        ([0.5], "a: its output has shape [1, 2, 2], expected [2, 2] (perhaps a squeeze() in the "
                "reference, which drops every axis of size 1: name its axes)"),
        ([0.5, 0.25], "a: a slope of shape [1, 2] does not broadcast to an input of [2, 2]: the "
                      "result has more axes"),
    ],
)  # fmt: skip
def test_an_output_of_more_axes_is_lost(slopes: list[float], words: str) -> None:
    rig = Rig(
        [flat(slopes=np.array(slopes, np.float32))], [flat(slopes=np.array(slopes, np.float32))]
    )
    x = np.ones((2, 2), np.float32)
    rig.expect("a", x)
    rig.judge.observe("a", 0, x, x[None])
    assert rig.one().difference == words


def test_each_call_of_an_additional_layer_stands_for_another_one() -> None:
    rig = Rig([THREE], [flat(), flat("x", nodes=("four", "five"))])
    for call, factor in enumerate(FACTORS):
        rig.expect("a", factor * Y, call)
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("x", 0, 2 * X, 2 * Y)
    rig.judge.observe("x", 1, 4 * X, 4 * Y)
    assert [name for name, _ in rig.judge.stand_ins("a")] == ["x", "x"]


def test_a_call_is_left_over_where_a_run_lacks_it() -> None:
    pair = flat(nodes=("one", "two"))
    rig = Rig([pair, flat("b")], [pair, flat("b")])
    assert rig.judge.left_over("a")
    rig.judge.observe("b", 0, X, Y)
    for run in (1, 2):
        rig.judge.run = run
        for call, is_left in ((0, True), (1, False)):
            rig.judge.observe("a", call, X, Y)
            assert rig.judge.left_over("a") is is_left
    assert not rig.judge.left_over("b")


def test_other_slopes_say_more_than_another_number_of_calls() -> None:
    pair = flat(nodes=("one", "two"))
    codes = [code_of(Rig([pair], [found]).one().difference) for found in
             (flat(), flat(slopes=2 * SLOPES))]  # fmt: skip
    assert codes == ["layer_calls_differ", "slopes_differ"]


def test_a_form_that_rounds_has_slopes_that_are_rounded() -> None:
    near = np.nextafter(SLOPES, np.float32(1))
    rig = Rig([flat()], [flat(slopes=near, rounds=True)])
    rig.expect("a", Y)
    rig.judge.observe("a", 0, 2 * X, 2 * Y)
    (found,) = rig.judge.parities({}, agreed=True)
    assert (found.verdict, found.found, found.slopes_equal) == ("pass", "rounded", False)
    assert found.note is not None
    assert found.note.startswith("end-to-end error")


@pytest.mark.parametrize(
    ("expected", "shape", "orders"),
    [
        pytest.param((2, 3, 3, 3), (2, 3, 3, 3), [(0, 1, 2, 3)], id="along the last axis of both"),
        pytest.param((2, 3, 4, 5), (2, 4, 5, 3), [(0, 2, 3, 1)], id="not on the reference's input"),
        pytest.param((2, 3), (2, 4, 5, 3), [(0, 1, 2, 3)], id="of other ranks"),
    ],
)
def test_slopes_of_fewer_axes_say_how_these_lie_where_they_fit(
    expected: tuple[int, ...], shape: tuple[int, ...], orders: list[tuple[int, ...]]
) -> None:
    layer = bare("a", SLOPES.reshape(1, 3))
    assert list(axis_orders(layer, layer, shape, expected)) == orders


def test_what_both_nodes_state_is_of_one_source() -> None:
    cube = np.linspace(-1, 1, 27, dtype=np.float32).reshape(1, 3, 3, 3)
    mine, other = (bare("a", cube, axes=(0, 3, 1, 2)) for _ in range(2))
    assert list(axis_orders(mine, other, (2, 3, 3, 3), (2, 3, 3, 3))) == [(0, 1, 2, 3)]


def test_what_does_not_lie_on_the_input_is_not_turned() -> None:
    cube = np.linspace(-1, 1, 27, dtype=np.float32).reshape(1, 3, 3, 3)
    assert turned_orders(bare("a", cube), flat(), (2, 3), (2, 3)) == ()
    assert turned_orders(flat(), bare("a", cube), (2, 3), (2, 3)) == ()
    assert turned_orders(flat(), flat(), (2, 3), (2, 3)) == ((0, 1),)


def test_slopes_along_an_axis_of_the_same_size_are_wrong() -> None:
    """The reference's input has the same sizes, so its axes are the candidate's."""
    x = -np.arange(1, 46, dtype=np.float32).reshape(1, 3, 3, 5)
    slopes = SLOPES.reshape(1, 3, 1, 1)
    other = bare("a", SLOPES.reshape(1, 3, 1, 1, 1))  # which does not say how its slopes lie here
    rig = Rig([bare("a", slopes, (None, 3, 3, 5))], [other], x=x)
    rig.expect("a", x * slopes)
    rig.judge.observe("a", 0, x, x * SLOPES.reshape(1, 1, 3, 1))
    assert rig.one().max_ulp_diff is not None
    assert rig.one().max_ulp_diff > 4


def test_an_additional_layer_may_have_an_order_that_no_framework_has() -> None:
    slopes = np.array([0.5, 0.25], np.float32).reshape(1, 2, 1, 1)
    x = -np.arange(1, 25, dtype=np.float32).reshape(1, 2, 3, 4)
    pair = bare("a", slopes, (None, 2, 3, 4), nodes=("one", "two"))
    rig = Rig([pair], [bare("a", slopes, (None, 2, 3, 4)), bare("x", slopes, (None, 2, 4, 3))], x=x)
    rig.expect("a", x * slopes, 0)
    rig.expect("a", 2 * x * slopes, 1)
    rig.judge.observe("a", 0, x, x * slopes)
    turned = (2 * x).transpose(0, 1, 3, 2)
    rig.judge.observe("x", 0, turned, turned * slopes)
    assert [(name, found.equal) for name, found in rig.judge.stand_ins("a")] == [("x", True)]
