"""Drawn inputs: the same for a seed, of both signs, of several scales."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.inputs import DEFAULT_SAMPLES, draw

IMAGE = {"x": ("float32", (4, 5, 6))}
WIDE = {"x": ("float32", (5000,))}


def _wide_rows(samples: int = 7, seed: int = 0) -> Array:
    return draw(WIDE, samples, seed)[0]["x"]


def test_a_seed_gives_the_same_bits_twice() -> None:
    first, second = draw(IMAGE, 8, seed=3), draw(IMAGE, 8, seed=3)
    assert [feed["x"].tobytes() for feed in first] == [feed["x"].tobytes() for feed in second]


def test_another_seed_gives_other_rows() -> None:
    first, second = draw(IMAGE, 8, seed=3)[0]["x"], draw(IMAGE, 8, seed=4)[0]["x"]
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_all_rows_in_one_batch_and_the_first_again_alone() -> None:
    batch, alone = draw(IMAGE, 5, seed=0)
    assert batch["x"].shape == (5, 4, 5, 6)
    assert alone["x"].shape == (1, 4, 5, 6)
    assert np.array_equal(alone["x"][0], batch["x"][0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_the_type_asked_for(dtype: str) -> None:
    for feed in draw({"x": (dtype, (7,))}, 3, seed=0):
        assert feed["x"].dtype == np.dtype(dtype)


def test_a_row_may_be_a_single_number() -> None:
    assert draw({"x": ("float32", ())}, 3, seed=0)[0]["x"].shape == (3,)


def test_the_default_number_of_rows_has_every_kind_twice() -> None:
    assert DEFAULT_SAMPLES >= 12


@pytest.mark.parametrize(("row", "deviation"), [(0, 1.0), (1, 4.0), (6, 1.0)])
def test_normal_rows(row: int, deviation: float) -> None:
    values = _wide_rows()[row]
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


def test_a_row_with_nine_zeros_in_ten() -> None:
    row = _wide_rows()[5]
    assert (row == 0).mean() == pytest.approx(0.9, abs=0.02)
    assert row[row != 0].std() == pytest.approx(1.0, rel=0.15)
    assert abs(row[row != 0].mean()) < 0.15


def test_every_position_meets_both_signs() -> None:
    values = draw(IMAGE, DEFAULT_SAMPLES, seed=0)[0]["x"]
    assert (values < 0).any(axis=0).all()
    assert (values > 0).any(axis=0).all()


def test_integers_are_small_and_not_negative() -> None:
    values = draw({"x": ("int64", (1000,))}, 2, seed=0)[0]["x"]
    assert set(np.unique(values)) == set(range(10))


def test_booleans_are_fair_coins() -> None:
    values = draw({"x": ("bool", (5000,))}, 2, seed=0)[0]["x"]
    assert values.mean() == pytest.approx(0.5, abs=0.03)


def test_two_inputs_are_drawn_apart() -> None:
    batch = draw({"a": ("float32", (9,)), "b": ("float32", (9,))}, 4, seed=0)[0]
    assert list(batch) == ["a", "b"]
    assert not np.array_equal(batch["a"], batch["b"])
