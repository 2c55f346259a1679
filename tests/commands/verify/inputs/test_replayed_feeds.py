"""The inputs of a run: from a file and to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from specs import spec

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.feeds import (
    n_values,
    replay_feeds,
    save_feeds,
)
from prelu_tools.core.arrays import shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, UsageError


def _save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    specs = [spec("a", "batch", 2), spec("b/c", "batch", dtype="int64")]
    feeds = [
        {"a": np.ones((2, 2), np.float32), "b/c": np.arange(2)},
        {"a": np.zeros((1, 2), np.float32), "b/c": np.arange(1)},
    ]
    save_feeds(tmp_path / "f.npz", feeds)
    found = replay_feeds(tmp_path / "f.npz", specs)
    assert [{name: values.tolist() for name, values in run.items()} for run in found] == [
        {name: values.tolist() for name, values in run.items()} for run in feeds
    ]
    assert {values.dtype.name for run in found for values in run.values()} == {"float32", "int64"}


def test_many_runs_are_told_apart(tmp_path: Path) -> None:
    feeds = [{"a": np.full((1,), i, np.float32)} for i in range(12)]
    save_feeds(tmp_path / "f.npz", feeds)
    found = replay_feeds(tmp_path / "f.npz", [spec("a", "batch")])
    assert [run["a"].tolist() for run in found] == [[i] for i in range(12)]


@pytest.mark.parametrize("name", ["run/a", "runx/a", "walk0/a", "run0", "0/a"])
def test_a_name_that_only_looks_like_a_run_is_a_name(name: str, tmp_path: Path) -> None:
    path = _save(tmp_path / "f.npz", **{name: np.ones(2), "b": np.zeros(3)})
    (found,) = replay_feeds(path, [spec(name, "batch"), spec("b", "batch")])
    assert list(found) == [name, "b"]


def test_the_only_array_is_the_only_input(tmp_path: Path) -> None:
    path = _save(tmp_path / "f.npz", whatever=np.ones((2, 3)))
    (found,) = replay_feeds(path, [spec("a", "batch", 3)])
    assert (list(found), found["a"].dtype) == (["a"], np.float32)


def test_arrays_that_no_input_has_are_passed_over(tmp_path: Path) -> None:
    path = _save(tmp_path / "f.npz", a=np.ones(2), labels=np.arange(2))
    (found,) = replay_feeds(path, [spec("a", "batch")])
    assert list(found) == ["a"]


@pytest.mark.parametrize(
    ("arrays", "names", "words"),
    [
        ({"a": np.ones(2), "x": np.ones(2)}, "ab", "f.npz has a, x; expected a, b"),
        ({"a": np.ones(2)}, "ab", "f.npz has a; expected a, b"),
        ({}, "a", "f.npz has no arrays; expected a"),
    ],
)
def test_an_input_that_is_not_there(
    arrays: dict[str, object], names: str, words: str, tmp_path: Path
) -> None:
    path = _save(tmp_path / "f.npz", **arrays)
    with pytest.raises(UsageError) as raised:
        replay_feeds(path, [spec(name, "batch") for name in names])
    assert str(raised.value) == f"{tmp_path}/{words}"


def test_an_input_without_rows_compares_nothing(tmp_path: Path) -> None:
    path = _save(tmp_path / "f.npz", a=np.ones(()), b=np.ones((0, 3)))
    words = "input 'b' has no rows, so nothing would be compared: expected at least one"
    with pytest.raises(PReLUToolsError) as raised:
        replay_feeds(path, [spec("a"), spec("b", "batch", 3)])
    assert str(raised.value) == f"{path}: {words}"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "f.npz"
    with pytest.raises(PReLUToolsError) as raised:
        save_feeds(path, [{"a": np.ones(1)}])
    assert str(raised.value) == f"{path} cannot be written: No such file or directory"


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(PReLUToolsError) as raised:
        save_feeds(tmp_path / "f.npz", [{"a": np.ones(1)}])
    assert str(raised.value) == f"{tmp_path}/f.npz cannot be written: No space left on device"


def test_nothing_that_would_run_code_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        save_feeds(tmp_path / "f.npz", [{"a": np.array([{}])}])


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "no arrays"), (5, "a, b, c, d, e"), (6, "a, b, c, d, e and 1 more"),
                         (8, "a, b, c, d, e and 3 more")],
)  # fmt: skip
def test_the_first_arrays_of_a_file_are_named(count: int, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "i.npz"
    np.savez(path, **{name: np.zeros((1, 2)) for name in "abcdefgh"[:count]})
    specs = [TensorSpec(name, "float32", (1, 2), (1, 2)) for name in ("x", "y")]
    with pytest.raises(UsageError) as raised:
        replay_feeds(path, specs)
    assert str(raised.value) == f"{path} has {shown}; expected x, y"


def test_an_input_with_another_number_of_axes_is_named(tmp_path: Path) -> None:
    path = _save(tmp_path / "f.npz", x=np.zeros((2, 3), np.float32))
    with pytest.raises(PReLUToolsError) as raised:
        replay_feeds(path, [spec("x", "batch", 3, 8, 8)])
    assert str(raised.value) == f"{path}: x of shape 2x3; expected x:batch,3,8,8"
    assumed = replace(spec("x", "batch", 3, 8, 8), is_assumed=True)
    assert [one["x"].shape for one in replay_feeds(path, [assumed])] == [(2, 3)]


def test_sizes_of_a_run_in_words() -> None:
    feeds = {"x": np.zeros((2, 3)), "flag": np.zeros(())}
    assert shapes_in_words(feeds) == "x of shape 2x3, flag of shape ()"
    assert n_values(feeds) == 7
