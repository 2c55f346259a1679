"""Drawn inputs: the same for a seed, of both signs, of several scales, within their limits."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core import inputs as module
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import DEFAULT_SAMPLES, DEFAULT_SEED, Wanted, draw, pictures

IMAGE = {"x": Wanted("float32", (4, 5, 6))}
KINDS = 8
NUMBERS = [[[2, 7], [0, 4]], [[2, 7], [7, 7]], [[9, 9], [1, 1]], [[1, 7], [9, 9]]]
WHOLE = {
        "wide": [[100, 1100], [611, 370], [408, 141], [175, 116], [837, 837], [732, 644], [100,
        100], [189, 964], [100, 1100], [180, 400], [581, 523], [503, 128], [826, 826], [864, 484],
        [353, 322], [679, 822], [100, 1100], [475, 410]],
        "alone": [0, 1000000, 718822, 889488, 185234, 934044, 890656, 321869, 328175, 890275,
        263927, 227157, 828776, 623187, 497773, 787099, 671263, 336117],
        "signed": [[-50, 50], [36, -5], [40, 30], [21, -27], [43, 43], [12, 8], [-50, -50], [27,
        43], [-50, 50], [-3, 46], [-31, 0], [-45, -8], [23, 23], [34, 26], [-40, -50], [-32, -39],
        [-50, 50], [48, 43]],
        "narrow": [[1, 64], [56, 1], [8, 56], [6, 63], [53, 62], [24, 10], [34, 63], [24, 57], [1,
        64], [15, 31], [21, 15], [58, 52], [9, 60], [63, 18], [28, 35], [43, 29], [1, 64], [45,
        3]],
        "tops": [[0, 4, 99], [1, 3, 2], [1, 4, 31], [0, 0, 75], [0, 3, 89], [1, 1, 6], [0, 5, 62],
        [0, 3, 34], [0, 2, 99], [1, 0, 56], [1, 1, 27], [0, 1, 88], [0, 1, 12], [0, 4, 28], [1, 3,
        85], [1, 4, 80], [0, 3, 99], [0, 2, 41]],
}  # fmt: skip


def _wide_rows(samples: int = KINDS) -> Array:
    return draw({"x": Wanted("float32", (5000,))}, samples, 0)["x"]


def test_a_seed_gives_the_same_bits_twice() -> None:
    first, second = draw(IMAGE, 8, seed=3)["x"], draw(IMAGE, 8, seed=3)["x"]
    assert first.tobytes() == second.tobytes()


def test_another_seed_gives_other_rows() -> None:
    first, second = draw(IMAGE, 8, seed=3)["x"], draw(IMAGE, 8, seed=4)["x"]
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_all_rows_in_one_batch() -> None:
    batch = draw(IMAGE, 5, seed=0)["x"]
    assert batch.shape == (5, 4, 5, 6)
    assert len({row.tobytes() for row in batch}) == 5


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_the_type_asked_for(dtype: str) -> None:
    assert draw({"x": Wanted(dtype, (7,))}, 3, seed=0)["x"].dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_row_may_be_a_single_number(dtype: str) -> None:
    assert draw({"x": Wanted(dtype, ())}, 2 * KINDS, seed=0)["x"].shape == (2 * KINDS,)


@pytest.mark.parametrize("limits", [None, (0.0, 1.0)])
def test_a_row_may_be_empty(limits: tuple[float, float] | None) -> None:
    assert draw({"x": Wanted("float32", (3, 0), limits)}, KINDS, 0)["x"].shape == (KINDS, 3, 0)


def test_the_default_number_of_rows_has_every_kind_twice() -> None:
    assert DEFAULT_SAMPLES == 2 * KINDS


def test_beside_other_inputs_a_floating_one_is_a_mask_now_and_then() -> None:
    ids = Wanted("int64", (4,), (0.0, 9.0))
    keep = draw({"ids": ids, "keep": Wanted("float32", (40,))}, 2 * KINDS, 0)["keep"]
    masks = [row for row, values in enumerate(keep) if set(values.tolist()) == {0.0, 1.0}]
    assert masks == [3, 3 + KINDS]
    assert all(keep[row].mean() > 0.5 for row in masks)


def test_one_input_is_a_mask_while_the_other_has_any_values() -> None:
    two = draw({name: Wanted("float32", (40,)) for name in "xm"}, 2 * KINDS, 0)
    masks = {n: [r for r in range(2 * KINDS) if set(two[n][r].tolist()) <= {0.0, 1.0}] for n in two}
    silent = 13
    assert masks == {"x": [3, silent], "m": [3 + KINDS, silent]}


def test_an_only_input_and_one_with_limits_are_no_masks() -> None:
    assert len(np.unique(_wide_rows()[3])) > 100
    within = draw({"x": Wanted("float32", (40,), (0.0, 9.0)), "y": Wanted("bool", (4,))}, KINDS, 0)
    assert len(np.unique(within["x"][3])) > 10


@pytest.mark.parametrize(("row", "deviation"), [(0, 1.0), (1, 4.0), (7, 32.0), (8, 1.0), (9, 4.0)])
def test_normal_rows(row: int, deviation: float) -> None:
    values = _wide_rows(10)[row]
    assert values.std() == pytest.approx(deviation, rel=0.05)
    assert abs(values.mean()) < 0.05 * deviation
    assert abs(values).max() > 3 * deviation


@pytest.mark.parametrize(("row", "low"), [(2, -1.0), (3, 0.0)])
def test_uniform_rows(row: int, low: float) -> None:
    values = _wide_rows()[row]
    assert low <= values.min() < low + 0.01
    assert 0.99 < values.max() <= 1.0


def test_a_row_of_one_value_everywhere() -> None:
    row = _wide_rows()[4]
    assert np.unique(row).size == 1
    assert row[0] != 0.0


@pytest.mark.parametrize(
    ("limits", "silence"),
    [(None, 0.0), ((0, 255), 0.0), ((0.1, 10), 0.1), ((-3.0, -2.0), -2.0)],
)
def test_one_of_sixteen_rows_is_silent(limits: tuple[float, float] | None, silence: float) -> None:
    """What a floor such as + 1e-9 is for shows there alone."""
    found = draw({"x": Wanted("float32", (3, 4), limits)}, 32, seed=0)["x"]
    constant = [row for row, values in enumerate(found) if np.ptp(values) == 0]
    assert (found[[13, 29]] == np.float32(silence)).all()
    assert set(constant) <= {4, 12, 13, 20, 28, 29}


def test_a_row_with_nine_zeros_in_ten() -> None:
    row = _wide_rows()[5]
    assert (row == 0).mean() == pytest.approx(0.9, abs=0.02)
    assert row[row != 0].std() == pytest.approx(1.0, rel=0.15)
    assert abs(row[row != 0].mean()) < 0.15


def test_a_row_that_is_a_slow_wave() -> None:
    row = _wide_rows()[6]
    assert row.std() > 0.1
    assert abs(np.diff(row)).max() < 0.01 * (row.max() - row.min())
    picture = draw({"x": Wanted("float32", (40, 50))}, KINDS, 0)["x"][6]
    for axis in (0, 1):
        assert abs(np.diff(picture, axis=axis)).max() < 0.5 * (picture.max() - picture.min())
        assert np.ptp(picture, axis=axis).max() > 0.1  # it runs along every axis


def test_every_position_meets_both_signs() -> None:
    values = draw(IMAGE, DEFAULT_SAMPLES, seed=0)["x"]
    assert (values < 0).any(axis=0).all()
    assert (values > 0).any(axis=0).all()


def test_integers_are_small_and_not_negative() -> None:
    values = draw({"x": Wanted("int64", (1000,))}, 2, seed=0)["x"]
    assert set(np.unique(values)) == set(range(10))


def test_booleans_are_fair_coins() -> None:
    values = draw({"x": Wanted("bool", (5000,))}, 2, seed=0)["x"]
    assert values.mean() == pytest.approx(0.5, abs=0.03)


def test_two_inputs_are_drawn_apart() -> None:
    wanted = Wanted("float32", (9,))
    batch = draw({"a": wanted, "b": wanted}, 4, seed=0)
    assert list(batch) == ["a", "b"]
    assert not np.array_equal(batch["a"], batch["b"])


# Limits


@pytest.mark.parametrize("limits", [(0.0, 255.0), (-3.0, -2.0), (0.0, 1e-3)])
def test_floating_values_lie_within_their_limits_and_fill_them(
    limits: tuple[float, float],
) -> None:
    low, high = limits
    values = draw({"x": Wanted("float32", (5000,), limits)}, KINDS, 0)["x"].astype(np.float64)
    assert values.min() >= np.float32(low)
    assert values.max() <= np.float32(high)
    size = high - low
    for row in values[[0, 1, 7]]:
        assert (row.min(), row.max()) == (np.float32(low), np.float32(high))
    assert values[0].mean() == pytest.approx(low + size / 2, abs=0.05 * size)
    assert values[0].std() == pytest.approx(size / 4, rel=0.1)


def test_integers_within_limits() -> None:
    values = draw({"x": Wanted("int64", (2000,), (-2.5, 3.0))}, 2, seed=0)["x"]
    assert set(np.unique(values)) == set(range(-2, 4))
    bytes_ = draw({"x": Wanted("uint8", (20000,), (0.0, 255.0))}, 2, seed=0)["x"]
    assert set(np.unique(bytes_)) == set(range(256))


def test_limits_are_those_of_one_input() -> None:
    batch = draw({"a": Wanted("float32", (99,), (0, 1)), "b": Wanted("float32", (99,))}, 4, 0)
    assert batch["a"].min() >= 0
    assert batch["b"].min() < -1


@pytest.mark.parametrize(("sizes", "axes"), [((3, 32, 48), (2, 3)), ((32, 48, 3), (1, 2))])
def test_pictures_change_slowly_along_their_own_axes(
    sizes: tuple[int, ...], axes: tuple[int, int]
) -> None:
    x = pictures({"x": Wanted("float32", sizes)}, 2, seed=0)["x"]
    assert (x.shape, x.dtype) == ((2, *sizes), np.float32)
    np.testing.assert_allclose(x.std(axis=axes), 1.0, rtol=1e-5)
    np.testing.assert_allclose(x.mean(axis=axes), 0.0, atol=1e-5)
    for axis in axes:  # noise: neighbours are as far apart as any two, by a factor of sqrt(2)
        assert np.diff(x, axis=axis).std() < 0.8


def test_what_is_no_picture_is_drawn_as_usual() -> None:
    wanted = {
        "tokens": Wanted("int64", (7,)),
        "sound": Wanted("float32", (4, 100)),
        "bounded": Wanted("float32", (3, 8, 8), (0.0, 1.0)),
        "one": Wanted("float32", (3, 1, 1)),
    }
    found = pictures(wanted, 3, seed=0)
    assert found["tokens"].dtype == np.int64
    assert 0.9 < found["sound"].std() < 1.1
    assert 0 <= found["bounded"].min() <= found["bounded"].max() <= 1
    assert np.isfinite(found["one"]).all()
    again = pictures(wanted, 3, seed=0)
    assert all(np.array_equal(found[name], again[name]) for name in wanted)


def test_a_seed_gives_the_same_rows_in_every_release() -> None:
    """Baselines and reports name a seed: what it stands for must not change."""
    wanted = {
        "x": Wanted("float64", (2, 2)),
        "coins": Wanted("bool", (2, 2)),
        "numbers": Wanted("int64", (2, 2)),
        "bounded": Wanted("float64", (2,), (0, 1)),
    }
    found = draw(wanted, KINDS, seed=DEFAULT_SEED)
    np.testing.assert_allclose(found["x"].reshape(8, 4), [
        [0.12573, -0.132105, 0.640423, 0.1049],
        [-2.142677, 1.44638, 5.216, 3.788324],
        [0.714809, -0.932829, 0.459311, -0.648689],
        [1.0, 1.0, 1.0, 1.0],  # a mask, beside other inputs
        [-0.457726, -0.457726, -0.457726, -0.457726],
        [0.0, 0.0, 0.0, 0.0],
        [0.844327, 0.135947, 0.925334, 0.216954],
        [62.728266, 57.652316, 42.08332, 11.436173],
    ], atol=1e-6)  # fmt: skip
    assert found["coins"][:2].tolist() == [[[1, 0], [1, 1]], [[1, 1], [0, 1]]]
    assert found["numbers"][:4].tolist() == NUMBERS
    np.testing.assert_allclose(
        found["bounded"][:4],
        [[0.353618, 0.164695], [0.0, 1.0], [0.519467, 0.471376], [0.683002, 0.653593]],
        atol=1e-6,
    )


def test_a_seed_gives_the_same_pictures_in_every_release() -> None:
    wanted = {"wide": Wanted("float64", (1, 2, 3)), "cube": Wanted("float64", (2, 2, 2))}
    found = pictures(wanted, 1, seed=0)
    wide = [0.11358, -0.858823, 1.409688, 0.006433, -1.567759, 0.896881]
    np.testing.assert_allclose(found["wide"].ravel(), wide, atol=1e-6)
    cube = pictures({"cube": wanted["cube"]}, 1, seed=0)["cube"]
    np.testing.assert_allclose(cube.mean(axis=(2, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose(cube.std(axis=(2, 3)), 1.0)


def test_a_picture_of_little_contrast_has_the_same_deviation() -> None:
    found = pictures({"x": Wanted("float64", (1, 1, 2))}, 20, seed=0)["x"]
    np.testing.assert_allclose(abs(found), 1.0)


def test_integers_of_three_axes_are_no_picture() -> None:
    found = pictures({"x": Wanted("uint8", (3, 8, 8))}, 2, seed=0)["x"]
    assert set(np.unique(found)) == set(range(10))


def test_rows_that_fill_the_memory_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "2 rows of the input 'x' are 536,870,914 values, which would need too much memory: use "
        "fewer --samples, or smaller sizes with --input if they are dynamic"
    )
    with pytest.raises(PReLUToolsError) as raised:
        draw({"x": Wanted("float32", (2**28 + 1,))}, 2, seed=0)
    assert str(raised.value) == words
    monkeypatch.setattr(module, "_MOST", 12)
    assert draw({"x": Wanted("float32", (4,))}, 3, seed=0)["x"].shape == (3, 4)
    with pytest.raises(PReLUToolsError, match="13 rows"):
        draw({"x": Wanted("float32", ())}, 13, seed=0)


def test_an_input_takes_any_numbers_unless_more_is_said() -> None:
    assert Wanted("float32", (3,)) == ("float32", (3,), None, False, ())


def test_a_mask_has_its_turn_in_later_rows_too() -> None:
    two = draw({name: Wanted("float32", (40,)) for name in "xm"}, 17, 0, first=35)
    masks = {n: [r for r in range(17) if set(two[n][r].tolist()) == {0.0, 1.0}] for n in two}
    assert masks == {"x": [0, 16], "m": [8]}


def test_the_seed_is_0_where_none_is_given() -> None:
    assert DEFAULT_SEED == 0


# Whole numbers


def test_the_ends_of_a_range_of_integers_are_drawn_first() -> None:
    for seed in range(5):
        row = draw({"x": Wanted("int64", (3,), (0, 10**6))}, 1, seed)["x"][0]
        assert (row[0], row[-1]) == (0, 10**6)
    alone = draw({"x": Wanted("int64", (), (0, 10**6))}, 3, 0)["x"]
    assert alone[:2].tolist() == [0, 10**6]
    assert 0 < alone[2] < 10**6


def test_a_single_boolean_takes_both_values_in_turn() -> None:
    for seed in range(5):
        assert draw({"x": Wanted("bool", ())}, 2, seed)["x"].tolist() == [False, True]
    assert draw({"x": Wanted("bool", (1,))}, 2, 0)["x"].tolist() == [[False], [True]]
    assert len(np.unique(draw({"x": Wanted("bool", ())}, 40, 0)["x"][2:])) == 2


def test_places_of_the_last_axis_may_have_tops_of_their_own() -> None:
    found = draw({"x": Wanted("int64", (50, 3), (0, 99), tops=(1, 5, 99))}, 4, 0)["x"]
    assert found.min() == 0
    assert found.max(axis=(0, 1)).tolist() == [1, 5, 99]


def test_floating_inputs_may_be_whole() -> None:
    found = draw({"x": Wanted("float32", (99,), (1, 4), is_whole=True)}, 8, 0)["x"]
    assert found.dtype == np.float32
    assert set(np.unique(found)) == {1, 2, 3, 4}


def test_a_wide_range_of_integers_has_smooth_rows_too() -> None:
    found = draw({"x": Wanted("uint8", (40, 50), (0, 255))}, KINDS, 0)["x"].astype(int)
    assert np.unique(found[4]).size == 1
    assert abs(np.diff(found[6], axis=1)).max() < abs(np.diff(found[0], axis=1)).max() / 2


@pytest.mark.parametrize(("last", "smooth"), [(63, False), (64, True)])
def test_a_range_of_64_numbers_is_narrow(last: int, smooth: bool) -> None:
    row = draw({"x": Wanted("int64", (40,), (0, last))}, 5, 0)["x"][4]
    assert (np.unique(row).size == 1) is smooth


def test_rows_go_on_where_others_left_off() -> None:
    later = draw({"x": Wanted("float32", (5000,))}, 1, 0, first=7)["x"][0]
    assert later.std() == pytest.approx(32, rel=0.05)


def test_a_seed_gives_the_same_whole_numbers_in_every_release() -> None:
    wanted = {
        "wide": Wanted("int64", (2,), (100, 1100)),
        "alone": Wanted("int64", (), (0, 10**6)),
        "signed": Wanted("int64", (2,), (-50, 50)),
        "narrow": Wanted("int64", (2,), (1, 64)),
        "tops": Wanted("int64", (3,), (0, 99), tops=(1, 5, 99)),
    }
    found = draw(wanted, 18, seed=0)
    assert {name: values.tolist() for name, values in found.items()} == WHOLE


def test_a_lone_boolean_is_a_coin_from_the_third_row_on() -> None:
    drawn = {bool(draw({"x": Wanted("bool", ())}, 3, seed)["x"][2]) for seed in range(10)}
    assert drawn == {False, True}
