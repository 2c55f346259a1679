"""The spread of each value over the moved runs, and which ones sit on a border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prelu_tools.core.rounding.noise import REACH
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.spread import Spread, SpreadBook, unit_of
from prelu_tools.core.rounding.tolerance import SENSITIVITY, Extent, limit_of

SINGLE = np.dtype(np.float32)


def _spread(base: Any, amount: Any, runs: int = 6) -> Spread:
    random = np.random.default_rng(0)
    book = SpreadBook(base)
    for _ in range(runs):
        moved = base + amount * random.uniform(-1, 1, base.shape)
        book.add(moved.astype(base.dtype))
    return book.finished()


def test_each_value_has_the_scale_of_its_own_moves() -> None:
    base = np.ones((200, 4), np.float32)
    amounts = REACH * np.array([1e-6, 1e-5, 1e-4, 1e-3])
    scale = _spread(base, amounts).scale
    for column, amount in enumerate(amounts / REACH):
        assert 0.2 * amount < scale[:, column].min() < scale[:, column].max() < amount


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_squares_neither_vanish_nor_overflow(size: float) -> None:
    base = np.full((50, 4), size, np.float32)
    scale = _spread(base, REACH * 1e-6 * size).scale / size
    assert 2e-7 < scale.min() < scale.max() < 1e-6


def test_what_moves_by_its_own_size_has_no_limit_to_speak_of() -> None:
    base = np.ones((50, 4), np.float32)
    assert _spread(base, 0.5).scale.min() > 10 * 0.5 / REACH


def test_what_jumps_in_some_runs_sits_on_a_border() -> None:
    base = np.ones((50, 4), np.float32)
    book = SpreadBook(base)
    for run in range(6):
        moved = base * np.float32(1 + (run - 3) * 1e-6)
        moved[7, 2] = 5 if run % 2 else moved[7, 2]
        book.add(moved)
    found = book.finished()
    assert found.border is not None
    assert np.argwhere(found.border).tolist() == [[7, 2]]
    assert found.n_flips == 1


def test_integers_that_change_are_borders_and_may_differ_in_number_only() -> None:
    base = np.arange(100).reshape(10, 10)
    book = SpreadBook(base)
    moved = base.copy()
    moved[4, :3] = 0
    book.add(moved)
    spread = book.finished()
    limit = limit_of(SENSITIVITY, Extent(), base.dtype, spread, base)
    for places, verdict in ((3, "pass"), (4, "fail")):
        other = base.copy()
        other[4, :places] = -1
        comparison = Comparison(limit)
        comparison.add(base, other)
        assert comparison.verdict == verdict
        assert comparison.n_border == (3 if verdict == "pass" else 0)
        assert comparison.border.where == "row 4 of run 0"


def test_a_tensor_that_is_all_border_proves_nothing() -> None:
    base = np.zeros(10, np.int64)
    book = SpreadBook(base)
    book.add(base + 1)
    comparison = Comparison(limit_of(SENSITIVITY, Extent(), base.dtype, book.finished(), base))
    comparison.add(base, base + 2)
    assert comparison.verdict == "inconclusive"
    assert comparison.doubt is not None
    assert "border" in comparison.doubt


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_unit_of_a_value_is_its_distance_to_the_next(dtype: str) -> None:
    values = np.array([0.0, 1.0, 1.5, 3.1, -1000.0, 1e-7], dtype)
    assert np.array_equal(unit_of(values, np.dtype(dtype)), np.spacing(np.abs(values)))
    assert unit_of(np.array([np.inf, np.nan]), SINGLE).tolist() == [0.0, 0.0]


def test_a_narrower_output_has_half_a_unit_more() -> None:
    base = np.full((8, 4), 2.0, np.float32)
    spread = _spread(base, 1e-6)
    single = limit_of(SENSITIVITY, Extent(), SINGLE, spread, base).atol
    half = limit_of(SENSITIVITY, Extent(), np.dtype(np.float16), spread, base).atol
    assert np.allclose(half - single, 2.0**-9 / 2 + 2.0**-24)  # and what subnormal numbers lose


def _on_a_border(base: Any, jump: float) -> Spread:
    """In every other run the values of row 7 are somewhere else."""
    book = SpreadBook(base)
    for run in range(6):
        moved = base * np.float32(1 + (run - 3) * 1e-6)
        moved[7] += jump if run % 2 else 0
        book.add(moved)
    return book.finished()


@pytest.mark.parametrize(
    ("off", "row", "verdict"),
    [(4, 7, "pass"), (7, 7, "pass"), (9, 7, "fail"), (np.nan, 7, "fail"), (0.1, 8, "fail")],
)
def test_a_value_on_a_border_may_be_off_by_what_it_jumps(
    off: float, row: int, verdict: str
) -> None:
    base = np.ones((50, 4), np.float32)
    limit = limit_of(SENSITIVITY, Extent(), SINGLE, _on_a_border(base, 4), base)
    other = base.copy()
    other[row, 2] += off
    comparison = Comparison(limit)
    comparison.add(base, other)
    assert comparison.verdict == verdict


def test_only_what_was_lost_to_infinity_may_be_so() -> None:
    base = np.ones((50, 4), np.float32)
    book = SpreadBook(base)
    moved = base.copy()
    moved[7, 2] = np.inf
    book.add(moved)
    limit = limit_of(SENSITIVITY, Extent(), SINGLE, book.finished(), base)
    for value, verdict in ((np.inf, "pass"), (5.0, "fail")):
        other = base.copy()
        other[7, 2] = value
        comparison = Comparison(limit)
        comparison.add(base, other)
        assert comparison.verdict == verdict


@pytest.mark.parametrize(("n_rough", "verdict"), [(20, "pass"), (60, "inconclusive")])
def test_what_is_made_of_rounding_proves_nothing(n_rough: int, verdict: str) -> None:
    base = np.ones((100, 1), np.float32)
    amounts = np.where(np.arange(100) < n_rough, 0.8, 1e-6)[:, None]
    comparison = Comparison(limit_of(SENSITIVITY, Extent(), SINGLE, _spread(base, amounts), base))
    comparison.add(base, base)
    assert comparison.verdict == verdict
    assert comparison.n_rough == n_rough


def test_runs_that_are_off_alike_are_of_another_function() -> None:
    base = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    for offset, elsewhere in ((1.0, True), (0.0, False)):
        book = SpreadBook(base)
        for run in range(6):
            book.add(base * np.float32(1 + (run - 2.5) * 1e-6) + np.float32(offset))
        assert book.is_elsewhere == elsewhere


@pytest.mark.parametrize("moved", [[1.5, 1.0], [np.inf, 1.0]])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
def test_a_single_number_is_as_a_row_of_one(dtype: str, moved: list[float]) -> None:
    found = []
    for shape in ((), (1,)):
        book = SpreadBook(np.ones(shape, dtype))
        for value in moved:
            with np.errstate(all="ignore"):
                book.add(np.full(shape, value).astype(dtype))
        spread = book.finished()
        parts = (spread.scale, spread.border, spread.reach, spread.lost, spread.rough)
        assert all(np.shape(part) in ((), shape) for part in parts if part is not None)
        lists = [None if part is None else np.ravel(part).tolist() for part in parts]
        found.append((*lists, spread.n_flips, book.is_elsewhere))
    assert found[0] == found[1]
