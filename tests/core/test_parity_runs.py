"""Tensors over several runs, and the edges of what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.rounding.parity import Comparison, Top1
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
