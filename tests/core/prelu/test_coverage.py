"""Which slopes met a negative input, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer


def _layer(name: str, *shape: int) -> PReLULayer:
    slopes = np.full(shape, 0.5, np.float32)
    return PReLULayer(name, (name,), None, "PReLU", slopes, None, shape, None, True)


def _book(*shape: int) -> CoverageBook:
    return CoverageBook([_layer("act", *(shape or (1, 3, 1)))])


def _ones(*negative: tuple[int, int, int]) -> Array:
    """Positive but for one zero, and what is told to be negative."""
    x = np.ones((2, 3, 4), np.float32)
    x[0, 0, 0] = 0.0
    for place in negative:
        x[place] = -1e-30
    return x


def test_at_first_nothing_is_reached() -> None:
    book = _book()
    assert book.counts("act").tolist() == [0, 0, 0]
    assert (book.total, book.exercised) == (3, 0)
    assert book.unreached() == ("act[0]", "act[1]", "act[2]")


@pytest.mark.parametrize(
    ("negative", "counts"),
    [([], [0, 0, 0]), ([(0, 1, 3)], [0, 1, 0]), ([(1, 0, 0), (0, 2, 3), (1, 2, 3)], [1, 0, 2])],
)
def test_a_slope_is_reached_by_a_negative_input_of_its_own(
    negative: list[tuple[int, int, int]], counts: list[int]
) -> None:
    book = _book()
    book.note("act", _ones(*negative))
    assert book.counts("act").tolist() == counts
    assert book.reached("act").tolist() == [count > 0 for count in counts]
    assert book.exercised == sum(count > 0 for count in counts)


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf])
def test_what_is_not_negative_reaches_nothing(value: float) -> None:
    book = _book()
    book.note("act", np.full((2, 3, 4), value))
    assert book.exercised == 0


def test_a_shared_slope_is_reached_anywhere() -> None:
    book = _book(1, 1, 1)
    book.note("act", _ones((1, 2, 3), (0, 0, 1)))
    assert book.counts("act").tolist() == [2]


def test_slopes_for_each_position_are_counted_over_the_batch() -> None:
    book = _book(1, 3, 4)
    book.note("act", _ones((0, 1, 2), (1, 1, 2), (1, 2, 0)))
    found = book.counts("act").reshape(3, 4)
    assert found[1, 2] == 2
    assert found[2, 0] == 1
    assert found.sum() == 3


def test_what_was_reached_stays_reached_and_counts_add_up() -> None:
    book = _book()
    first = np.array([[[-1.0], [1.0], [1.0]]])
    for x in (first, -first, np.ones((1, 3, 1)), first):
        book.note("act", x)
    assert book.counts("act").tolist() == [2, 1, 1]
    assert book.unreached() == ()


def test_layers_are_counted_apart_and_named_in_their_order() -> None:
    book = CoverageBook([_layer("b", 1, 2), _layer("a", 1, 1)])
    book.note("b", np.array([[1.0, -1.0]]))
    assert (book.total, book.exercised) == (3, 1)
    assert book.unreached() == ("b[0]", "a[0]")
    assert book.reached("a").tolist() == [False]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        pytest.param("other", (1, 3, 4), id="unknown layer"),
        pytest.param("act", (3,), id="other rank"),
        pytest.param("act", (1, 5, 4), id="other sizes"),
    ],
)
def test_a_call_that_fits_no_layer_reaches_nothing(layer: str, shape: tuple[int, ...]) -> None:
    book = _book()
    book.note(layer, -np.ones(shape))
    assert book.exercised == 0


def test_positions_are_whole_numbers() -> None:
    assert _book().counts("act").dtype == np.int64


def test_calls_at_other_ranks_count_for_the_same_slopes() -> None:
    slopes = np.full((1, 3), 0.5, np.float32)
    layer = PReLULayer("act", ("a",), None, "PReLU", slopes, (None, 3), (3,), None, True)
    book = CoverageBook([layer])
    book.note("act", np.array([[-1, 1, -1]], np.float32))
    book.note("act", _ones((0, 1, 3)))
    assert book.counts("act").tolist() == [1, 1, 1]


def test_what_another_book_has_is_added() -> None:
    book = _book()
    book.note("act", _ones((0, 1, 3)))
    book.add("act", np.array([2, 3, 0]))
    book.add("act", np.array([[1], [0], [0]]))
    assert book.counts("act").tolist() == [3, 4, 0]
