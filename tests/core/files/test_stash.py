"""Arrays in memory up to a budget and on disk beyond it: the same bits, and nothing left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.files.stash import Key, Stash


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _key(number: int, layer: str = "act") -> Key:
    return ("float32", number, layer, 0)


def _values(number: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(number).normal(size=(3, 4)).astype(dtype)


def _files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.npy"))


def test_what_fits_stays_in_memory_and_the_rest_goes_to_disk(folder: Path) -> None:
    with Stash(budget=100) as stash:
        for number in range(4):
            stash.put(_key(number), _values(number))  # 48 bytes each
        assert len(_files(folder)) == 2
        for number in range(4):
            assert same_bits(stash.get(_key(number)), _values(number))
    assert list(folder.iterdir()) == []


def test_exactly_the_budget_fits(folder: Path) -> None:
    with Stash(budget=96) as stash:
        stash.put(_key(0), _values(0))
        stash.put(_key(1), _values(1))
        assert _files(folder) == []
        stash.put(_key(2), np.zeros(1, np.int8))
        assert len(_files(folder)) == 1


@pytest.mark.parametrize("budget", [0, 1 << 20])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
def test_every_bit_comes_back(dtype: str, budget: int, folder: Path) -> None:
    odd = np.array([[0.0, -0.0, np.nan, np.inf, -np.inf, 5e-8]]).astype("float32")
    arrays = [_values(0, dtype), odd, _values(1).T, np.float32(3).reshape(()), np.zeros((0, 4))]
    with Stash(budget) as stash:
        for number, values in enumerate(arrays):
            stash.put(_key(number), values)
        for number, values in enumerate(arrays):
            assert same_bits(stash.get(_key(number)), values)


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_what_is_kept_is_a_copy(budget: int, folder: Path) -> None:
    values = _values(0)
    with Stash(budget) as stash:
        stash.put(_key(0), values)
        values[:] = 0
        assert same_bits(stash.get(_key(0)), _values(0))


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_a_new_array_takes_the_place_of_the_old(budget: int, folder: Path) -> None:
    with Stash(budget) as stash:
        stash.put(_key(0), _values(0))
        stash.put(_key(0), _values(1))
        assert same_bits(stash.get(_key(0)), _values(1))
        assert len(_files(folder)) == (0 if budget else 1)


def test_what_was_replaced_or_dropped_gives_its_room_back(folder: Path) -> None:
    with Stash(budget=48) as stash:
        for _ in range(3):
            stash.put(_key(0), _values(0))
        assert _files(folder) == []
        stash.drop(_key(0))
        stash.put(_key(1), _values(1))
        assert _files(folder) == []
        stash.put(_key(2), _values(2))
        stash.drop(_key(2))  # was on disk, so that no room is won in memory
        assert _files(folder) == []
        stash.put(_key(3), _values(3))
        assert len(_files(folder)) == 1


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_keys_are_told_apart(budget: int, folder: Path) -> None:
    keys: list[Key] = [
        ("float32", 0, "a", 0), ("float64", 0, "a", 0), ("float32", 1, "a", 0),
        ("float32", 0, "b", 0), ("float32", 0, "a", 1),
    ]  # fmt: skip
    with Stash(budget) as stash:
        for number, key in enumerate(keys):
            assert key not in stash
            stash.put(key, _values(number))
        for number, key in enumerate(keys):
            assert key in stash
            assert same_bits(stash.get(key), _values(number))


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_dropped_is_gone(budget: int, folder: Path) -> None:
    with Stash(budget) as stash:
        stash.put(_key(0), _values(0))
        stash.drop(_key(0))
        stash.drop(_key(1))  # was never there
        assert _key(0) not in stash
        with pytest.raises(KeyError):
            stash.get(_key(0))


def test_keep_forgets_the_others_in_memory_and_on_disk(folder: Path) -> None:
    with Stash(budget=96) as stash:
        for number in range(4):
            stash.put(_key(number), _values(number))
        stash.keep(lambda key: key[1] % 2 == 1)
        assert [_key(number) in stash for number in range(4)] == [False, True, False, True]
        assert len(_files(folder)) == 1
        assert same_bits(stash.get(_key(1)), _values(1))
        assert same_bits(stash.get(_key(3)), _values(3))


def test_the_folder_is_gone_after_an_error(folder: Path) -> None:
    def fill() -> None:
        with Stash(budget=0) as stash:
            stash.put(_key(0), _values(0))
            assert len(_files(folder)) == 1
            assert all(path.name.startswith("prelu-tools-") for path in folder.iterdir())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_nothing_is_held_after_the_block(budget: int, folder: Path) -> None:
    with Stash(budget) as stash:
        stash.put(_key(0), _values(0))
    with pytest.raises((KeyError, FileNotFoundError)):
        stash.get(_key(0))


def test_names_of_layers_are_no_paths(folder: Path) -> None:
    with Stash(budget=0) as stash:
        stash.put(_key(0, "../../a/b:c"), _values(0))
        assert same_bits(stash.get(_key(0, "../../a/b:c")), _values(0))
        assert len(_files(folder)) == 1
