"""Which call of the reference's layer a call of a candidate's is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from judge_rig import EXACT, SLOPES, Rig, X, Y, bare, flat

from prelu_tools.commands.verify.layers.isolated import axis_orders
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
    assert "its output is" in found.difference


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
