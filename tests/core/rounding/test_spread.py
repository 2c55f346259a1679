"""The spread of each value over the perturbed runs, and which ones sit on a border."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from prelu_tools.core.rounding.noise import REACH
from prelu_tools.core.rounding.parity import Comparison
from prelu_tools.core.rounding.spread import Spread, SpreadBook, pooled, unit_of
from prelu_tools.core.rounding.tolerance import SENSITIVITY, Extent, limit_of

SINGLE = np.dtype(np.float32)


def _spread(base: Any, amount: Any) -> Spread:
    random = np.random.default_rng(0)
    book = SpreadBook(base)
    for _ in range(6):
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


# Numbers that can be computed by hand. A value that each run moves by a has the scale a / 8.


def _book(base: Any, *moves: Any) -> SpreadBook:
    book = SpreadBook(base)
    for move in moves:
        book.add((base + move).astype(base.dtype))
    return book


A = np.float32(2.0**-10)
ONES = np.ones((4, 4), np.float32)


def test_what_all_values_do_alike_is_the_scale_of_each() -> None:
    scale = _book(ONES, *[A, -A] * 3).finished().scale
    assert scale.dtype == np.float32
    assert scale == pytest.approx(np.full((4, 4), 2.0**-13), rel=1e-6)


@pytest.mark.parametrize(("runs", "factor"), [(1, 3.0), (2, 1.8), (3, 1.4), (6, 1.0), (12, 1.0)])
def test_of_few_runs_a_chance_is_larger(runs: int, factor: float) -> None:
    """Ten thirds of the runs, of which four are the neighbours': (runs + 4) / runs / (10 / 6)."""
    scale = _book(ONES, *[A] * runs).finished().scale
    assert scale == pytest.approx(np.full((4, 4), 2.0**-13 * factor**0.5), rel=1e-6)


def test_a_value_that_hardly_moved_by_chance_is_told_by_its_neighbours() -> None:
    """It counts for six runs and they for four: the mean of the logarithms along its row."""
    move = np.full((4, 4), A)
    move[2, 3] = A / 16
    scale = _book(ONES, *[move] * 6).finished().scale * 2.0**13
    around = 16 ** (-1 / 4)
    assert scale[0, 0] == pytest.approx(1.0, rel=1e-5)
    assert scale[2, 3] == pytest.approx((0.6 / 256 + 0.4 * around**2) ** 0.5, rel=1e-5)
    assert scale[2, 0] == pytest.approx((0.6 + 0.4 * around**2) ** 0.5, rel=1e-5)


def test_the_neighbours_of_a_small_value_count_in_proportion() -> None:
    base = np.array([[1, 1, 1, 2.0**-6]], np.float32)
    large = (0.6 + 0.4 / 8) ** 0.5  # to these it is one of four that is 64 times smaller
    scale = _book(base, *[base * A] * 6).finished().scale * 2.0**13
    assert scale.reshape(-1).tolist() == pytest.approx([large] * 3 + [2.0**-6], rel=1e-4)


@pytest.mark.parametrize(
    ("exponent", "move", "around"),
    [
        (-20, A / 16, 16 ** (-1 / 4)),  # next to a kink: by chance on its flat side in all runs
        (-20, 2.0**-22, 2.0**-3),
        (-20, 2.0**-29, 2.0**-19.75),  # small, and known as well as its neighbours
        (-13, A / 16, 2.0**-10.75),  # not smaller than what its neighbours move by
    ],
)
def test_what_cancellation_left_has_the_spread_of_its_neighbours(
    exponent: int, move: float, around: float
) -> None:
    base = np.array([[1, 1, 1, 2.0**exponent]], np.float32)
    found = _book(base, *[np.array([[A, A, A, move]])] * 6).finished()
    own = move / A
    assert found.border is None
    assert float(found.scale[0, 3]) * 2.0**13 == pytest.approx(
        (0.6 * own**2 + 0.4 * around**2) ** 0.5, rel=1e-4
    )


def test_what_did_not_move_is_no_neighbour() -> None:
    move = np.full((1, 5), A)
    move[0, 1:3] = 0
    scale = _book(np.ones((1, 5), np.float32), *[move] * 6).finished().scale * 2.0**13
    assert scale.reshape(-1).tolist() == pytest.approx([1, 0, 0, 1, 1], abs=1e-6)
    still = _book(ONES, *[np.zeros((4, 4), np.float32)] * 6).finished()
    assert not still.scale.any()


def test_a_zero_that_moved_is_no_neighbour() -> None:
    base = np.array([[1, 1, 1, 0]], np.float32)
    scale = _book(base, *[np.array([[A, A, A, 16 * A]])] * 6).finished().scale * 2.0**13
    assert scale.reshape(-1)[:3].tolist() == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.parametrize(("length", "factor"), [(3, 0.5), (4, 2.0**-0.25)])
def test_fewer_than_four_along_an_axis_are_no_neighbours(length: int, factor: float) -> None:
    """Then all together are: of 6 values three and three, of 8 one that is off."""
    if length == 3:
        move = np.array([[A] * 3, [A / 4] * 3])
        expected = [(0.6 + 0.4 * factor**2) ** 0.5, (0.6 / 16 + 0.4 * factor**2) ** 0.5]
        scale = _book(np.ones((2, 3), np.float32), *[move] * 6).finished().scale
        assert scale[:, 0] * 2.0**13 == pytest.approx(expected, rel=1e-5)
    else:
        move = np.array([[A, A, A, A / 2]])
        scale = _book(np.ones((1, 4), np.float32), *[move] * 6).finished().scale
        assert scale[0, 0] * 2.0**13 == pytest.approx((0.6 + 0.4 * factor**2) ** 0.5, rel=1e-5)


def test_what_is_made_of_rounding_has_thirty_two_times_the_scale() -> None:
    """More than a twentieth of the size of the values around it."""
    base = np.ones((4, 16), np.float32)
    for amount, factor in ((0.04, 1.0), (0.06, 32.0)):
        found = _book(base, *[np.float32(amount)] * 6).finished()
        assert found.scale[0, 0] == pytest.approx(amount / 8 * factor, rel=1e-5)
        assert (found.rough is None) == (factor == 1.0)


def test_a_row_of_which_more_than_a_quarter_is_made_of_rounding_is_so_everywhere() -> None:
    base = np.ones((4, 8), np.float32)
    for n_rough, is_whole in ((2, False), (3, True)):
        move = np.full((4, 8), A)
        move[1, :n_rough] = 0.5
        found = _book(base, *[move] * 6).finished()
        assert found.rough is not None
        assert found.rough[1].sum() == (8 if is_whole else n_rough)
        assert not found.rough[[0, 2, 3]].any()
        assert bool(found.scale[1, 7] > 1000 * found.scale[0, 7]) is is_whole


def test_the_values_around_are_those_along_the_axis_where_they_are_smallest() -> None:
    base = np.ones((8, 8), np.float32)
    base[3] = 100
    base[3, 5] = 1
    move = np.zeros((8, 8), np.float32)
    move[3, 5] = 0.5
    found = _book(base, *[move] * 6).finished()
    assert found.rough is not None
    assert np.argwhere(found.rough).tolist() == [[3, 5]]
    move[3, 5], move[3, 0] = 0, 0.5
    assert _book(base, *[move] * 6).finished().rough is None


def test_without_neighbours_all_values_are_those_around() -> None:
    base = np.array([[1, 1, 100], [1, 1, 100]], np.float32)
    move = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    assert _book(base, *[move] * 6).finished().rough is None
    assert _book(base, *[2 * move] * 6).finished().rough is not None


def test_infinite_values_are_of_no_size_to_their_neighbours() -> None:
    base = np.array([[1, np.inf, 1, 1]], np.float32)
    for amount, rough in ((0.03, False), (0.04, True)):  # a twentieth of 3 / 4 lies between
        found = _book(base, *[np.float32(amount)] * 6).finished()
        assert (found.rough is not None) is rough


def test_jumps_are_beyond_sixty_four_times_the_usual() -> None:
    """The usual is the mean of the logarithms in its row: A and a bit, as one of 64 is larger."""
    base = np.ones((16, 64), np.float32)
    for jump, on_border in ((67, False), (68, True)):
        moves = [np.full((16, 64), A if run % 2 else -A) for run in range(6)]
        moves[3][5, 7] = jump * A
        found = _book(base, *moves).finished()
        assert (found.border is not None) is on_border
        if on_border:
            assert found.border is not None
            assert np.argwhere(found.border).tolist() == [[5, 7]]
            assert found.reach is not None
            assert found.reach.shape == (16, 1)
            assert found.reach[5, 0] == pytest.approx(2 * jump * A, rel=1e-5)
            assert found.reach[4, 0] == 0
            assert found.scale[5, 7] < 2 * found.scale[0, 0]
            assert (found.n_flips, found.lost) == (1, None)


def test_what_jumps_in_all_runs_but_one_is_spread_and_no_border() -> None:
    base = np.ones((16, 64), np.float32)
    moves = [np.full((16, 64), A if run % 2 else -A) for run in range(6)]
    for move in moves[1:]:
        move[5, 7] = 100 * A
    assert _book(base, *moves).finished().border is None


@pytest.mark.parametrize("shape", [(3, 4), ()])
def test_another_shape_is_another_side_everywhere(shape: tuple[int, ...]) -> None:
    base = np.arange(12, dtype=np.float32).reshape(3, 4) if shape else np.float32(5) * np.ones(())
    base = np.asarray(base)
    if shape:
        base[0, 0], base[0, 1] = np.nan, -3
    book = SpreadBook(base)
    book.add(np.zeros((9, 9), np.float32))
    found = book.finished()
    assert found.border is not None
    assert found.border.dtype == bool
    assert (found.border.all(), found.n_flips, found.lost) == (True, base.size, None)
    assert found.reach is not None
    assert found.reach.max() == (2 * 14 if shape else 0)


def test_another_shape_of_what_holds_nothing_finite_reaches_nowhere() -> None:
    book = SpreadBook(np.full((2, 2), np.inf, np.float32))
    book.add(np.zeros(3, np.float32))
    found = book.finished()
    assert found.reach is not None
    assert not found.reach.any()


def test_integers_jump_as_far_as_they_move_and_no_farther() -> None:
    base = np.array([[10, 20], [30, 40]])
    book = SpreadBook(base)
    for move in ([[0, 3], [0, 0]], [[0, -5], [0, 1]], [[0, 0], [0, 0]]):
        book.add(base + np.array(move))
    found = book.finished()
    assert found.border is not None
    assert found.border.tolist() == [[False, True], [False, True]]
    assert found.reach is not None
    assert found.reach.tolist() == [[10.0], [2.0]]
    assert (found.scale.shape, found.scale.dtype, float(found.scale)) == ((), np.float32, 0.0)
    assert (found.n_flips, found.rough, book.is_elsewhere) == (2, None, False)


def test_as_many_count_as_moved_in_one_run_or_in_all() -> None:
    base = np.zeros((1, 4), np.int64)
    book = _book(base, np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 0]]))
    assert book.finished().n_flips == 3
    assert _book(base, np.zeros((1, 4), np.int64)).finished() == Spread(
        np.zeros((), np.float32), None, 0, None, None, None
    )


def test_what_was_lost_to_infinity_in_any_run_is_known() -> None:
    book = SpreadBook(np.ones((2, 2), np.float32))
    for place in ((0, 0), (1, 1)):
        moved = np.ones((2, 2), np.float32)
        moved[place] = np.nan
        book.add(moved)
    found = book.finished()
    assert found.lost is not None
    assert found.lost.tolist() == [[True, False], [False, True]]
    assert found.n_flips == 2


def test_values_without_axes_reach_as_far_as_they_jump() -> None:
    found = _book(np.array(3), 0, 4).finished()
    assert found.reach is not None
    assert (np.shape(found.reach), float(found.reach)) == ((), 8.0)


@pytest.mark.parametrize(
    ("runs", "share", "spread", "elsewhere"),
    [(2, 0.3, 0.04, True), (1, 0.3, 0.04, False), (2, 0.25, 0.04, False), (2, 0.3, 0.06, False)],
)
def test_another_function_is_off_alike_in_more_than_a_quarter(
    runs: int, share: float, spread: float, elsewhere: bool
) -> None:
    base = np.ones(100, np.float32)
    off = np.where(np.arange(100) < 100 * share, 1.0, 0.0).astype(np.float32)
    moves = [off * np.float32(1 + spread * run) for run in range(runs)]
    assert _book(base, *moves).is_elsewhere is elsewhere


def test_what_is_off_alike_by_little_is_rounding() -> None:
    """Up to 512 units of float32."""
    unit = np.float32(2.0**-23)
    assert _book(np.ones(8, np.float32), np.float32(0.01), np.float32(0.02)).is_elsewhere is False
    for units, elsewhere in ((500, False), (512, False), (520, True)):
        base = np.ones(8, np.float32)
        assert _book(base, *[units * unit] * 3).is_elsewhere is elsewhere


@pytest.mark.filterwarnings("error")
def test_what_holds_no_values_has_no_spread() -> None:
    base = np.zeros((0, 3), np.float32)
    book = _book(base, base, base)
    assert book.is_elsewhere is False
    found = book.finished()
    assert (found.scale.shape, found.border, found.n_flips) == ((), None, 0)
    assert pooled(base, 3, base).shape == (0, 3)
    assert pooled(base, 3, base).dtype == np.float32


def test_the_scale_of_moves_whose_norm_is_known() -> None:
    """The norm of six moves by a is sqrt(6) a."""
    norm = np.full((4, 4), 6**0.5 * A, np.float32)
    scale = pooled(norm, 6, ONES)
    assert scale == pytest.approx(np.full((4, 4), 2.0**-13), rel=1e-5)
    assert pooled(norm, 0, ONES).max() < np.inf


def test_a_twentieth_of_the_size_is_not_rough() -> None:
    exact = np.full((4, 4), 0.05, np.float32)
    assert pooled(exact, 1, ONES).max() < 0.02
    assert pooled(np.nextafter(exact, np.float32(1)), 1, ONES).min() > 0.1


@pytest.mark.filterwarnings("error")
def test_no_value_gives_a_warning() -> None:
    base = np.array([[1e38, -1e38, 0, np.inf, np.nan, 1e-45]] * 2, np.float32)
    book = SpreadBook(base)
    for other in (base[:, ::-1], base):
        book.add(other)
    assert not np.isnan(book.finished().scale).any()
    unit_of(base, SINGLE)


def test_the_unit_of_bfloat16_and_of_types_that_nobody_knows() -> None:
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    values = np.array([1.0, 3.0, 2.0**-126, 2.0**-130, 0.0])
    least = 2.0**-133
    assert unit_of(values, bfloat16).tolist() == [2.0**-7, 2.0**-6, least, least, least]
    assert unit_of(np.array([1.0]), np.dtype(np.longdouble)).tolist() == [2.0**-52]


def test_nothing_is_known_before_a_run() -> None:
    told = Spread(ONES)
    assert (told.scale is ONES, told.n_flips) == (True, 0)
    assert [told.border, told.reach, told.lost, told.rough] == [None] * 4
    book = SpreadBook(np.zeros((2, 2), np.int64))
    assert (book.finished().n_flips, book.is_elsewhere) == (0, False)
    same = _book(np.zeros((2, 2), np.int64), 0, 0)
    same.add(np.full((2, 2), 7))
    assert same.finished().n_flips == 4
    jumped = _book(np.zeros((1, 3), np.int64), np.array([[5, 0, 0]]))
    assert jumped.finished().n_flips == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_everything_is_kept_in_float32(dtype: str) -> None:
    base = np.ones((4, 4), dtype)
    book = _book(base, *[np.full((4, 4), 2.0**-9)] * 3)
    book.add(np.zeros(3, dtype))
    found = book.finished()
    assert found.scale.dtype == np.float32
    assert found.reach is not None
    assert found.reach.dtype == np.float32
    assert pooled(book._norm, 3, base).dtype == np.float32


def test_a_value_that_moved_where_its_neighbour_is_0_has_its_own_scale() -> None:
    base = np.array([[1, 1, 1, 0]], np.float32)
    move = np.array([[A, A, A, A]])
    scale = _book(base, *[move] * 6).finished().scale * 2.0**13
    assert scale.reshape(-1).tolist() == pytest.approx([1, 1, 1, 1], rel=1e-5)


def test_one_value_that_moved_among_many_is_its_own_neighbour() -> None:
    move = np.array([[A, 0, 0, 0]])
    scale = _book(np.ones((1, 4), np.float32), *[move] * 6).finished().scale * 2.0**13
    assert scale.reshape(-1).tolist() == pytest.approx([1, 0, 0, 0], abs=1e-6)


def test_each_row_that_is_made_of_rounding_has_the_mean_of_its_own() -> None:
    base = np.ones((2, 8), np.float32)
    move = np.zeros((2, 8), np.float32)
    move[0, :4], move[1, :4] = 0.5, 2.0
    scale = _book(base, *[move] * 6).finished().scale
    assert scale[0, 7] == pytest.approx(32 * 0.25 / 8, rel=1e-5)
    assert scale[1, 7] == pytest.approx(32 * 1.0 / 8, rel=1e-5)


def test_one_axis_of_four_is_enough_for_the_size_around() -> None:
    base = np.array([[1] * 4, [1000] * 4], np.float32)
    move = np.zeros((2, 4), np.float32)
    move[0, 0] = 1
    assert _book(base, *[move] * 6).finished().rough is not None
    assert _book(base[:, :3], *[move[:, :3]] * 6).finished().rough is None


def test_of_one_axis_each_value_is_rough_by_itself() -> None:
    move = np.full(8, A)
    move[3] = 0.5
    found = _book(np.ones(8, np.float32), *[move] * 6).finished()
    assert found.rough is not None
    assert np.flatnonzero(found.rough).tolist() == [3]
    assert found.scale[3] == pytest.approx(32 * 0.6**0.5 * 0.5 / 8, rel=1e-2)


def test_no_unit_of_float32_is_a_jump() -> None:
    """A run in float64 moves by less; another kernel in float32 does not."""
    base, unit = np.ones((1, 64)), 2.0**-23
    moves = [np.full((1, 64), unit / 1000) for _ in range(6)]
    moves[2][0, 5] = 100 * unit
    assert _book(base, *moves).finished().border is None
    moves[2][0, 5] = 600 * unit
    assert _book(base, *moves).finished().border is not None


@pytest.mark.parametrize(("dtype", "n_bytes"), [("float64", 5 * 4 + 2), ("int64", 4 + 2)])
def test_a_book_keeps_few_bytes_of_each_value(dtype: str, n_bytes: int) -> None:
    base = np.ones((100, 10), dtype)
    book = SpreadBook(base)
    for _ in range(2):
        book.add(base + 1)
        held = [part for part in vars(book).values() if part is not base]
        arrays = [part for kept in held for part in (kept if isinstance(kept, list) else [kept])]
        kept = sum(part.nbytes for part in arrays if isinstance(part, np.ndarray))
        assert kept <= n_bytes * base.size + 32
