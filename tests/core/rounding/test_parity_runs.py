"""Tensors over several runs, and the edges of what is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.parity import Border, Chance, Comparison, Top1
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import Limit


def _over(*runs: tuple[Array, Array]) -> Comparison:
    comparison = Comparison(Limit(0.0, 0.0))
    for reference, candidate in runs:
        comparison.add(reference, candidate)
    return comparison


SOME, NONE = np.array([1.0, 2.0], np.float32), np.zeros(0, np.float32)
WHOLE = np.array([1, 2, 3])


def test_a_run_without_values_takes_nothing_away() -> None:
    assert _over((SOME, SOME), (NONE, NONE)).verdict == "pass"
    assert _over((NONE, NONE), (SOME, SOME)).verdict == "pass"


def test_an_integer_of_an_earlier_run_is_not_forgotten() -> None:
    found = _over((WHOLE, np.array([1, 3, 3])), (WHOLE, WHOLE))
    assert (found.verdict, found.n_mismatched) == ("fail", 1)


def test_an_integer_is_counted_once() -> None:
    assert _over((WHOLE, WHOLE + 1)).n_mismatched == 3


def test_what_nobody_can_say_is_said() -> None:
    nan = np.array([np.nan], np.float32)
    assert _over((nan, nan)).doubt == "is NaN on both sides"
    assert _over((nan, nan), (NONE, NONE)).doubt == "is NaN on both sides"
    assert _over().doubt == _over((NONE, NONE)).doubt == "holds no values"
    assert _over((SOME, SOME)).doubt is None
    assert _over((SOME, SOME + 1), (nan, nan)).doubt is None


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
def test_no_angle_is_less_than_none(size: int) -> None:
    """The root of 3, squared, is less than 3."""
    ones = np.ones(size)
    cosine = _over((ones, ones)).deviation.cosine
    assert cosine is not None
    assert cosine == pytest.approx(1.0)
    assert cosine <= 1.0


def _agreement(*rows: list[float], dtype: str = "float32") -> float | None:
    top1 = Top1()
    top1.add(np.array(rows, dtype), np.array(rows, dtype))
    return top1.agreement


def test_a_class_may_be_impossible() -> None:
    assert _agreement([1.0, 0.0], [0.0, 1.0]) == 1.0


def test_rows_are_summed_more_exactly_than_they_are_held() -> None:
    """1.00122 is nearer to 1 than a thousandth, once it is rounded to float16."""
    assert _agreement([0.25024414, 0.25, 0.50097656], dtype="float16") is None
    assert _agreement([0.25, 0.25, 0.5], dtype="float16") == 1.0


# Values on a border that rounding crosses


def _rows(*rows: list[float]) -> Array:
    return np.array(rows, np.float32)


def _bordered(border: list[list[int]], n_flips: int = 0, **more: Array) -> Spread:
    """On a border where `border` is 1; each row jumps by 4."""
    marks = np.array(border, bool)
    return Spread(
        np.zeros(marks.shape, np.float32),
        marks,
        n_flips or int(marks.sum()),
        np.full((len(marks), 1), 4.0, np.float32),
        **more,
    )


NOTHING = np.zeros((2, 2), bool)


def _noted(spread: Spread, difference: Array, wrong: Array | None = None) -> tuple[Border, Array]:
    border = Border()
    wrong = difference > 0 if wrong is None else wrong
    return border, border.note(spread, wrong, NOTHING, difference)


def test_a_value_on_a_border_is_explained_as_far_as_it_jumps() -> None:
    spread = _bordered([[1, 1], [0, 0]])
    border, explained = _noted(spread, _rows([4.0, 5.0], [0.0, 0.0]))
    assert explained.tolist() == [[True, False], [False, False]]
    assert (border.n_wrong, border.n_beside, border.n_explained) == (1, 0, 1)
    assert border.where == "row 0 of run 0"


def test_a_value_within_its_limit_is_not_wrong_though_it_is_on_a_border() -> None:
    border, explained = _noted(_bordered([[1, 0], [0, 0]]), _rows([1, 0], [0, 0]), NOTHING)
    assert not explained.any()
    assert (border.n_wrong, border.n_explained, border.where) == (0, 0, "")


def test_without_a_border_nothing_is_explained() -> None:
    for spread in (
        Spread(np.zeros((2, 2), np.float32)),
        Spread(np.zeros((2, 2), np.float32), np.ones((2, 2), bool), 4),
        Spread(np.zeros((2, 2), np.float32), None, 4, np.ones((2, 1), np.float32)),
    ):
        border, explained = _noted(spread, _rows([0.5, 0], [0, 0]))
        assert (explained.any(), border.n_explained) == (False, 0)


def test_the_reach_of_each_row_is_its_own_and_none_is_farther_than_the_largest() -> None:
    spread = _bordered([[1, 0], [1, 0]])
    spread = replace(spread, reach=np.array([[0.25], [0.5]], np.float32))
    border, explained = _noted(spread, _rows([0.5, 0.75], [0.5, 0]))
    assert explained.tolist() == [[True, False], [True, False]]
    assert (border.n_wrong, border.n_beside) == (1, 1)


def test_runs_of_a_border_add_up() -> None:
    border = Border()
    for difference in (_rows([1, 0], [0, 1]), _rows([0, 0], [1, 1])):
        spread = _bordered([[1, 1], [1, 1]], n_flips=2)
        border.note(spread, difference > 0, NOTHING, difference)
    assert (border.n_wrong, border.n_explained) == (4, 4)
    assert border.where == "row 0 of run 0, row 1 of run 0, row 1 of run 1"


def test_more_rows_than_can_be_named_are_counted() -> None:
    border = Border()
    spread = _bordered([[1, 1], [1, 1]])
    ones = _rows([1, 1], [1, 1])
    for _ in range(2):
        border.note(spread, ones > 0, NOTHING, ones)
    four = "row 0 of run 0, row 1 of run 0, row 0 of run 1, row 1 of run 1"
    assert border.where == four
    border.note(spread, _rows([1, 1], [0, 0]) > 0, NOTHING, ones)
    assert border.where == f"{four} and 1 more rows"
    border.note(spread, ones > 0, NOTHING, ones)
    assert border.where == f"{four} and 3 more rows"


def test_no_more_may_differ_than_moved() -> None:
    ones = _rows([1, 1], [1, 0])
    marks = [[1, 1], [1, 0]]
    border, _ = _noted(_bordered(marks, n_flips=3), ones)
    assert (border.n_excess, border.n_explained) == (0, 3)
    border, _ = _noted(_bordered(marks, n_flips=2), ones)
    assert (border.n_excess, border.n_explained) == (3, 0)


@pytest.mark.parametrize(
    ("n_flips", "beside", "excess"),
    [(16, 1, 0), (31, 1, 0), (32, 2, 0), (31, 2, 2), (15, 1, 1), (17, 1, 0), (1, 0, 0)],
)
def test_a_few_may_differ_beside_the_known_borders(n_flips: int, beside: int, excess: int) -> None:
    """One for each sixteen that moved."""
    spread = _bordered([[0] * 4, [0, 0, 0, 1]], n_flips)
    difference = np.zeros((2, 4), np.float32)
    difference[0, :beside] = 1
    difference[1, 3] = 1
    border = Border()
    border.note(spread, difference > 0, difference > 9, difference)
    assert (border.n_wrong, border.n_beside, border.n_excess) == (1, beside, excess)
    assert border.n_explained == (0 if excess else 1 + beside)
    for _ in range(2):  # what is beside in each run adds up, and so does what may
        border.note(spread, difference > 0, difference > 9, difference)
    assert (border.n_wrong, border.n_beside) == (3, 3 * beside)


def test_more_on_the_border_than_moved_are_all_counted() -> None:
    spread = _bordered([[1, 1], [0, 0]], n_flips=1)
    border, _ = _noted(spread, _rows([1, 1], [1, 0]))
    assert (border.n_wrong, border.n_beside, border.n_excess) == (2, 1, 3)


def test_only_what_was_lost_to_infinity_is_explained_where_one_side_is_finite() -> None:
    lost = np.array([[1, 0], [0, 0]], bool)
    spread = _bordered([[1, 0], [0, 1]], lost=lost)
    difference = _rows([np.inf, np.inf], [0, 1])
    unlike = np.array([[1, 1], [0, 0]], bool)
    border = Border()
    explained = border.note(spread, difference == 1, unlike, difference)
    assert explained.tolist() == [[True, False], [False, True]]
    assert (border.n_wrong, border.n_beside) == (2, 0)
    quiet = Border()
    assert not quiet.note(spread, NOTHING, NOTHING, np.zeros((2, 2), np.float32)).any()
    assert quiet.n_wrong == 0


def test_the_border_of_a_single_number_has_no_row() -> None:
    one = np.ones((), np.float32)
    spread = Spread(one * 0, one > 0, 1, one * 4)
    comparison = Comparison(Limit(0.0, 0.0, spread))
    comparison.add(one, one + 1)
    assert (comparison.border.n_wrong, comparison.border.where) == (1, "")


def test_each_excess_is_a_mismatch() -> None:
    spread = _bordered([[1, 1], [1, 0]], n_flips=2)
    comparison = Comparison(Limit(0.0, np.zeros((2, 2)), spread))
    base = _rows([1, 1], [1, 1])
    comparison.add(base, base + _rows([1, 1], [1, 9]))
    assert (comparison.n_mismatched, comparison.n_border, comparison.verdict) == (4, 0, "fail")


# Limits of each value


def _each(atol: list[float], differences: list[float], **spread: Array) -> Comparison:
    base = np.ones(len(atol), np.float32)
    scale = Spread(np.zeros(len(atol), np.float32), **spread)
    comparison = Comparison(Limit(0.0, np.array(atol), scale))
    comparison.add(base, base + np.array(differences, np.float32))
    return comparison


def test_the_worst_value_is_the_one_that_fills_its_own_limit_most() -> None:
    found = _each([1.0, 8.0, 4.0], [0.5, 2.0, 3.0])
    assert (found.worst, found.at_worst) == (0.75, 4.0)
    found.add(np.ones(3, np.float32), np.array([1.75, 1, 1], np.float32))
    assert (found.worst, found.at_worst) == (0.75, 4.0)  # as far, and later
    found.add(np.ones(3, np.float32), np.array([1.875, 1, 1], np.float32))
    assert (found.worst, found.at_worst) == (0.875, 1.0)


def test_where_all_is_equal_the_worst_fills_nothing_of_its_limit() -> None:
    found = _each([0.0, 8.0], [0.0, 0.0])
    assert (found.worst, found.at_worst) == (0.0, 0.0)
    assert _each([], []).worst is None


def test_before_anything_is_compared_the_limit_is_the_one_of_all_or_none() -> None:
    assert Comparison(Limit(0.0, 0.5)).at_worst == 0.5
    assert Comparison(Limit(0.0, np.ones(3))).at_worst == 0.0


def test_what_a_border_explains_is_not_the_worst() -> None:
    spread = _bordered([[1, 0], [0, 0]])
    comparison = Comparison(Limit(0.0, np.full((2, 2), 0.5), spread))
    base = _rows([1, 1], [1, np.inf])
    comparison.add(base, base + _rows([3, 0.25], [0, 0]))
    assert (comparison.worst, comparison.verdict) == (0.5, "pass")


@pytest.mark.filterwarnings("error")
def test_limits_of_0_and_infinite_values_give_no_warning() -> None:
    spread = Spread(np.zeros(3, np.float32))
    comparison = Comparison(Limit(0.0, np.zeros(3), spread))
    base = np.array([1, np.inf, 0], np.float32)
    comparison.add(base, base + np.array([1, 0, 0], np.float32))
    assert (comparison.worst, comparison.verdict) == (np.inf, "fail")


def test_complex_values_differ_within_their_limit() -> None:
    comparison = Comparison(Limit(0.0, 0.5))
    values = np.array([1 + 1j], np.complex64)
    with pytest.warns(np.exceptions.ComplexWarning):
        comparison.add(values, values + np.float32(0.25))
    assert comparison.verdict == "pass"


def test_integers_with_borders_have_no_worst() -> None:
    spread = Spread(np.zeros((), np.float32), WHOLE == 1, 1, np.array([4.0]))
    comparison = Comparison(Limit(0.0, 0.0, spread))
    comparison.add(WHOLE, np.array([3, 2, 3]))
    assert (comparison.worst, comparison.n_border, comparison.verdict) == (None, 1, "pass")


@pytest.mark.parametrize(("marks", "verdict"), [([1, 1, 0, 0], "pass"), ([1, 1, 1, 0], "?")])
def test_more_than_half_that_is_made_of_rounding_proves_nothing(
    marks: list[int], verdict: str
) -> None:
    found = _each([1.0] * 4, [0.0] * 4, rough=np.array(marks, bool))
    assert (found.verdict == "pass") is (verdict == "pass")
    if verdict == "?":
        assert found.doubt is not None
        assert found.doubt.startswith("consists of rounding at 3 of 4 values: ")
        assert found.doubt.endswith("own rounding error is about as large as the values")
    base = np.ones(4, np.float32)
    found.add(base, base)
    assert found.n_rough == 2 * sum(marks)


@pytest.mark.parametrize(("n_differ", "verdict"), [(2, "pass"), (3, "inconclusive")])
def test_more_than_half_on_borders_proves_nothing(n_differ: int, verdict: str) -> None:
    spread = _bordered([[1, 1], [1, 1]])
    comparison = Comparison(Limit(0.0, np.zeros((2, 2)), spread))
    base = _rows([1, 1], [1, 1])
    other = base.copy()
    other.reshape(-1)[:n_differ] += 1
    comparison.add(base, other)
    assert comparison.verdict == verdict
    words = "differs in more than half of its values, all on a border that rounding error crosses"
    assert comparison.doubt == (None if verdict == "pass" else words)


# Values whose own rounding error a few runs underestimate


def _large(n_small: int, off: float, rows: int = 2, size: int = 10_000) -> Comparison:
    """Rows of typical rounding error 1; of the first row some values have 1,000 times less."""
    scale = np.ones((rows, size), np.float32)
    scale[0, :n_small] = 1e-3
    limit = Limit(0.0, 16 * scale, Spread(scale))
    found = Comparison(limit)
    candidate = np.zeros((rows, size), np.float32)
    candidate[0, :n_small] = off
    found.add(np.zeros((rows, size), np.float32), candidate)
    return found


@pytest.mark.parametrize(
    ("n_small", "off", "verdict"),
    [(1, 0.9, "pass"), (2, 0.9, "pass"), (3, 0.9, "fail"), (1, 1.1, "fail"), (3, 0.01, "pass")],
)
def test_one_value_in_ten_thousand_may_have_the_rounding_of_its_row(
    n_small: int, off: float, verdict: str
) -> None:
    found = _large(n_small, off)
    assert found.verdict == verdict
    by_chance = n_small if verdict == "pass" and off > 0.016 else 0
    assert found.n_by_chance == by_chance
    assert found.n_mismatched == (n_small if verdict == "fail" else 0)


def test_few_values_have_no_chance() -> None:
    assert _large(1, 0.9, 1, 9_999).verdict == "fail"
    assert _large(1, 0.9, 1, 10_000).verdict == "pass"
    again = _large(1, 0.9)
    for _ in range(2):  # runs add up, and so does what may differ
        again.add(np.zeros((2, 10_000)), np.full((2, 10_000), [[0.9], [0]]), again.limit)
    assert (again.n_by_chance, again.verdict) == (3, "pass")


def test_what_chance_explains_is_not_the_worst() -> None:
    assert (_large(1, 0.9).worst, _large(1, 1.1).worst) == (0.0, pytest.approx(1.1 / 0.016))


def test_the_typical_rounding_of_a_row_is_its_own_and_leaves_out_what_is_exact() -> None:
    chance = Chance()
    scale = np.array([[4, 1, 0, 2], [400, 100, 100, 0]], np.float32)  # of means 2 and 159
    difference = np.array([[2.1, 1.9, 2.1, 1.9], [158, 160, 158, 160]])
    wrong = np.ones((2, 4), bool)
    wrong[1, 0] = False
    explained = chance.note(scale, wrong, difference)
    assert explained.tolist() == [[False, True, False, True], [False, False, True, False]]
    assert chance.n_wrong == 3
    assert not chance.note(scale, ~wrong & False, difference).any()
    one = np.array([1.0, 4.0, 1.0], np.float32)  # no rows: the mean of all is 1.6
    assert chance.note(one, np.ones(3, bool), np.array([1.5, 1.7, 1.5])).tolist() == [
        True,
        False,
        True,
    ]
    small = np.array([[1 / 4, 1 / 16, 0], [0, 1 / 4, 0], [1, 1, 1]])  # of means 1/8, 1/4 and 1
    differences = np.array([[0.13, 0.12, 0.13], [0.26, 0.24, 0.26], [1.0, 1.1, 1.0]])
    assert chance.note(small, np.ones((3, 3), bool), differences).tolist() == [
        [False, True, False], [False, True, False], [True, False, True]
    ]  # fmt: skip
    assert not chance.note(np.zeros((1, 2)), np.ones((1, 2), bool), np.full((1, 2), 0.5)).any()


def test_an_integer_is_never_off_by_chance() -> None:
    spread = Spread(np.ones((), np.float32))
    found = Comparison(Limit(0.0, 0.0, spread))
    found.add(np.zeros((1, 20_000), np.int64), np.eye(1, 20_000, dtype=np.int64))
    assert (found.verdict, found.n_by_chance) == ("fail", 0)
