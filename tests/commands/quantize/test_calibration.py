"""Calibration data: what does not fit is one clear sentence; a quarter of it is held out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_nets import npz

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.quantize.calibration import CalibrationData, read_calibration
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.reasons import code_of

ROWS = np.random.default_rng(0).normal(size=(40, 3, 4)).astype(np.float32)
SPECS = [TensorSpec("x", "float32", ("N", 3, "length"), (1, 3, 4))]
FIXED = [TensorSpec("x", "float32", (1, 3, 4), (1, 3, 4))]
TWO = [*SPECS, TensorSpec("ids", "int64", ("N",), (1,))]


def test_one_row_of_four_is_held_out(tmp_path: Path) -> None:
    for specs, size in ((SPECS, 8), (FIXED, 1)):
        found = read_calibration(npz(tmp_path / "d.npz", x=ROWS), specs, False)
        assert found.rows == (30, 10)
        assert max(len(feed["x"]) for feed in found.calibration) == size
        parts = [np.concatenate([f["x"] for f in p]) for p in (found.calibration, found.held_out)]
        np.testing.assert_array_equal(parts[1], ROWS[3::4])
        assert not (parts[0][:, None] == parts[1]).all(axis=(2, 3)).any()
        assert found.notes == ()


def test_inputs_keep_their_rows_together(tmp_path: Path) -> None:
    data = npz(tmp_path / "d.npz", x=ROWS, ids=np.arange(40), labels=np.arange(40) * 2)
    found = read_calibration(data, TWO, True)
    held = np.concatenate([feed["ids"] for feed in found.held_out])
    np.testing.assert_array_equal(held, np.arange(3, 40, 4))
    np.testing.assert_array_equal(found.extra["labels"], held * 2)


def test_numbers_get_the_type_of_the_input(tmp_path: Path) -> None:
    data = npz(tmp_path / "d.npz", x=(ROWS * 50).astype(np.int8))
    assert read_calibration(data, SPECS, False).calibration[0]["x"].dtype == np.float32
    assert read_calibration(npz(tmp_path / "e.npz", anything=ROWS), SPECS, False).rows == (30, 10)


REFUSED: dict[str, tuple[dict[str, Any], list[TensorSpec], str]] = {
    "other names": ({"a": ROWS, "b": ROWS}, SPECS, "has a, b; expected an array for each input"),
    "more names": ({"x": ROWS, "y": ROWS}, SPECS, "has y; the model has no such input"),
    "rank": ({"x": ROWS[0]}, SPECS, r"has the shape \[3, 4\]; expected \[N, 3, length\], with"),
    "size": ({"x": ROWS[:, :2]}, SPECS, r"has the shape \[40, 2, 4\]; expected \[N, 3, length\]"),
    "bool": ({"x": ROWS > 0}, SPECS, "is of type bool; expected float32"),
    "float ids": ({"x": ROWS, "ids": ROWS[:, 0, 0]}, TWO, "is of type float32; expected int64"),
    "lengths": ({"x": ROWS, "ids": np.arange(39)}, TWO, "different numbers of rows: x 40, ids 39"),
    "few": ({"x": ROWS[:3]}, SPECS, "has 3 rows, too few"),
    "none": ({"x": ROWS[:0]}, SPECS, "has 0 rows, too few"),
    "nan": ({"x": np.where(np.arange(40)[:, None, None] == 7, np.nan, ROWS)}, SPECS,
            "NaN or infinity in 1 of 40 rows, first in row 7"),
    "large": ({"x": ROWS * np.float64(1e300)}, SPECS, "values too large for float32 in"),
    "infinity": ({"x": np.where(ROWS > 1, np.inf, ROWS)}, SPECS, "NaN or infinity in"),
    "nothing": ({}, SPECS, "has no arrays"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_does_not_fit_is_one_sentence(name: str, tmp_path: Path) -> None:
    arrays, specs, words = REFUSED[name]
    with pytest.raises(PReLUToolsError, match=words) as found:
        read_calibration(npz(tmp_path / "d.npz", **arrays), specs, False)
    assert "\n" not in str(found.value)
    assert "d.npz" in str(found.value)


WHOLE: dict[str, tuple[dict[str, Any], list[TensorSpec], bool, str]] = {
    "few": ({"x": ROWS[:3]}, SPECS, False,
            "{} has 3 rows, too few to calibrate and to check: expected at least 4, preferably a "
            "hundred or more"),
    "few of a fixed batch": ({"x": ROWS[:5]}, [TensorSpec("x", "float32", (3, 3, 4), (3, 3, 4))],
                             False, "{} has 5 rows, too few to calibrate and to check: expected "
                                    "at least 6, preferably a hundred or more"),
    "missing": ({"a": ROWS, "b": ROWS}, TWO, True,
                "{} has a, b; expected an array for each input of the model: x, ids"),
    "one missing": ({"x": ROWS}, TWO, False,
                    "{} has x; expected an array for each input of the model: x, ids"),
    "nothing": ({}, SPECS, False,
                "{} has no arrays; expected an array for each input of the model: x"),
    "more": ({"x": ROWS, "ids": np.arange(40), "b": ROWS, "a": ROWS}, TWO, False,
             "{} has b, a; the model has no such input: expected x, ids alone (further "
             "arrays are for --metric)"),
    "no rows": ({"x": np.float32(3)}, [TensorSpec("x", "float32", (), ())], False,
                "{}: x has the shape []; expected [], with the examples along the first axis"),
    "rank": ({"x": ROWS[0]}, SPECS, False,
             "{}: x has the shape [3, 4]; expected [N, 3, length], with the examples along the "
             "first axis"),
    "size": ({"x": ROWS[:, :2]}, SPECS, False,
             "{}: x has the shape [40, 2, 4]; expected [N, 3, length]"),
    "lengths": ({"x": ROWS, "ids": np.arange(39)}, TWO, False,
                "{} has different numbers of rows: x 40, ids 39"),
    "type": ({"x": ROWS > 0}, SPECS, False, "{}: x is of type bool; expected float32"),
    "nan": ({"x": np.where(np.isin(np.arange(40), (7, 9))[:, None, None], np.nan, ROWS)}, SPECS,
            False, "{}: x holds NaN or infinity in 2 of 40 rows, first in row 7: expected numbers"),
    "large": ({"x": ROWS[:20] * np.float64(1e300)}, SPECS, False,
              "{}: x holds values too large for float32 in 20 of 20 rows, first in row 0: expected "
              "numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_sentence(name: str, tmp_path: Path) -> None:
    arrays, specs, needs_extra, words = WHOLE[name]
    path = npz(tmp_path / "d.npz", **arrays)
    with pytest.raises(PReLUToolsError) as found, np.errstate(all="raise"):
        read_calibration(path, specs, needs_extra)
    assert str(found.value) == words.format(path)


def _rows(path: Path, specs: list[TensorSpec], n: int) -> tuple[list[int], list[int], list[int]]:
    """Rows that are calibrated with, rows that are not, and the sizes of all runs."""
    values = np.arange(n, dtype=np.float32).reshape(n, 1, 1) + np.zeros((n, 3, 4), np.float32)
    found = read_calibration(npz(path, x=values), specs, False)
    parts = [[float(row[0, 0]) for feed in part for row in feed["x"]]
             for part in (found.calibration, found.held_out)]  # fmt: skip
    assert found.rows == (len(parts[0]), len(parts[1]))
    sizes = [len(feed["x"]) for feed in (*found.calibration, *found.held_out)]
    return [int(r) for r in parts[0]], [int(r) for r in parts[1]], sizes


@pytest.mark.parametrize(
    ("n", "held", "sizes"),
    [(4, [3], [1, 1, 1, 1]), (8, [3, 7], [2, 2, 2, 2]), (11, [3, 7], [2, 2, 2, 2, 1, 2]),
     (40, list(range(3, 40, 4)), [8, 8, 8, 6, 8, 2])],
)  # fmt: skip
def test_rows_of_any_number_are_split(
    n: int, held: list[int], sizes: list[int], tmp_path: Path
) -> None:
    kept = [row for row in range(n) if row not in held]
    assert _rows(tmp_path / "d.npz", SPECS, n) == (kept, held, sizes)


@pytest.mark.parametrize(
    ("batch", "n", "kept", "held"),
    [
        (2, 4, [0, 1], [2, 3]),
        (2, 7, [0, 1, 2, 3], [4, 5]),
        (2, 9, [0, 1, 2, 3, 4, 5], [6, 7]),
        (3, 6, [0, 1, 2], [3, 4, 5]),
        (1, 9, [0, 1, 2, 4, 5, 6, 8], [3, 7]),
    ],
)
def test_a_batch_that_is_fixed_stays_whole(
    batch: int, n: int, kept: list[int], held: list[int], tmp_path: Path
) -> None:
    specs = [TensorSpec("x", "float32", (batch, 3, 4), (batch, 3, 4))]
    found = _rows(tmp_path / "d.npz", specs, n)
    assert found == (kept, held, [batch] * ((len(kept) + len(held)) // batch))


def test_the_first_input_with_a_fixed_first_size_is_the_batch(tmp_path: Path) -> None:
    specs = [TensorSpec("y", "float32", ("N",), (1,)), TensorSpec("x", "float32", (2, 3, 4), ())]
    data = npz(tmp_path / "d.npz", x=ROWS[:8], y=np.zeros(8, np.float32))
    found = read_calibration(data, specs, False)
    assert {len(values) for feed in found.calibration for values in feed.values()} == {2}


def test_runs_of_a_file_are_joined_by_their_numbers(tmp_path: Path) -> None:
    arrays = {f"run{n}/x": ROWS[4 * n : 4 * n + 4] for n in range(3)}
    found = read_calibration(npz(tmp_path / "d.npz", **arrays), SPECS, False)
    assert found.rows == (9, 3)
    np.testing.assert_array_equal(found.held_out[0]["x"], ROWS[[3, 7, 11]][: len(
        found.held_out[0]["x"])])  # fmt: skip
    names = {"run/x": ROWS, "runs1/x": ROWS, "run1": ROWS, "walk1/x": ROWS, "x": ROWS}
    found = read_calibration(npz(tmp_path / "e.npz", **names), SPECS, True)
    assert set(found.extra) == set(names) - {"x"}
    assert found.extra["run1"].shape == ROWS[3::4].shape
    inputs = {
        f"run{n}/{name}": values[20 * n : 20 * n + 20]
        for n in range(2)
        for name, values in (("x", ROWS), ("ids", np.arange(40)), ("a/b", np.arange(40)))
    }
    found = read_calibration(npz(tmp_path / "f.npz", **inputs), TWO, True)
    assert found.rows == (30, 10)
    assert found.extra["a/b"].tolist() == list(range(3, 40, 4))


def test_files_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", ROWS[20:])
    npz(tmp_path / "a.npz", any=ROWS[:20])
    (tmp_path / "c.npz").mkdir()
    (tmp_path / "d.txt").write_text("nothing")
    found = read_calibration(tmp_path, SPECS, False)
    np.testing.assert_array_equal(
        np.concatenate([feed["x"] for feed in found.held_out]), ROWS[3::4]
    )
    (tmp_path / "a.npz").unlink()
    with pytest.raises(PReLUToolsError) as raised:
        read_calibration(tmp_path, TWO, False)
    assert str(raised.value) == (
        f"{tmp_path / 'b.npy'} is one array, and the model has 2 inputs: expected .npz files with "
        "x, ids"
    )


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        (ROWS[:8], ROWS[8:20], True),
        (ROWS[:8], ROWS[8:20].astype(np.float64), True),
        (ROWS[:8], ROWS[8:20].astype(np.int32), False),
        (ROWS[:8], ROWS[8:20, :, :2], False),
        (ROWS[:8], ROWS[8:20, :2], False),
    ],
)
def test_files_have_rows_of_one_kind(first: Any, second: Any, fits: bool, tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", x=first)
    npz(tmp_path / "b.npz", x=second)
    if fits:
        assert read_calibration(tmp_path, SPECS, False).rows == (15, 5)
        return
    with pytest.raises(PReLUToolsError) as raised:
        read_calibration(tmp_path, SPECS, False)
    assert str(raised.value) == (
        f"{tmp_path}: the rows of x do not have the same shape in all files: expected [3, 4]"
    )


def test_labels_have_to_be_in_all_files(tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", x=ROWS[:20], labels=np.arange(20))
    npz(tmp_path / "b.npz", x=ROWS[20:])
    with pytest.raises(PReLUToolsError, match="the rows of labels do not have the same shape"):
        read_calibration(tmp_path, SPECS, True)


def test_an_array_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "b.npy").write_bytes(b"nothing")
    with pytest.raises(PReLUToolsError) as raised:
        read_calibration(tmp_path, SPECS, False)
    assert str(raised.value).startswith(f"{tmp_path / 'b.npy'} cannot be read as an array of numbe")
    np.save(tmp_path / "b.npy", np.array([{}] * 4, dtype=object), allow_pickle=True)
    with pytest.raises(PReLUToolsError, match=r"numbers \(Object arrays cannot be loaded"):
        read_calibration(tmp_path, SPECS, False)


@pytest.mark.parametrize("kind", ["int64", "uint8", "float16"])
def test_whole_numbers_fit_whole_inputs_and_floats(kind: str, tmp_path: Path) -> None:
    specs = [TensorSpec("x", kind, ("N",), (1,))]
    found = read_calibration(npz(tmp_path / "d.npz", x=np.arange(40, dtype=np.int16)), specs, False)
    assert found.calibration[0]["x"].dtype == kind


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.array([{"a": 1}] * 4, dtype=object), allow_pickle=True)
    with pytest.raises(PReLUToolsError, match="array of Python objects"):
        read_calibration(path, SPECS, False)
    path.write_bytes(pickle.dumps({"x": ROWS}))
    with pytest.raises(PReLUToolsError, match=r"not a zip file|is a pickle"):
        read_calibration(path, SPECS, False)


def test_folders_have_to_hold_arrays(tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError) as raised:
        read_calibration(tmp_path, SPECS, False)
    assert str(raised.value) == (
        f"{tmp_path} has no .npz or .npy files: expected arrays of inputs as the model expects "
        "them, after any preprocessing"
    )
    np.save(tmp_path / "a.npy", ROWS)
    assert read_calibration(tmp_path, SPECS, False).rows == (30, 10)
    with pytest.raises(PReLUToolsError, match="is one array, and the model has 2 inputs"):
        read_calibration(tmp_path, TWO, False)
    (tmp_path / "b.npy").write_bytes(b"nothing")
    with pytest.raises(PReLUToolsError, match=r"b\.npy cannot be read"):
        read_calibration(tmp_path, SPECS, False)
    np.save(tmp_path / "b.npy", ROWS[:, :, :2])
    with pytest.raises(PReLUToolsError, match="do not have the same shape in all files"):
        read_calibration(tmp_path, SPECS, False)


def test_doubtful_data_is_noted(tmp_path: Path) -> None:
    def codes(values: Any) -> set[str | None]:
        found = read_calibration(npz(tmp_path / "d.npz", x=values), SPECS, False)
        return {code_of(note) for note in found.notes}

    assert codes(np.abs(ROWS)) == {"calibration_non_negative"}
    assert codes(np.maximum(ROWS, 0)) == {"calibration_non_negative"}
    assert codes(np.where(ROWS.min() == ROWS, -1e-9, np.abs(ROWS))) == set()
    assert codes(ROWS[:32]) == set()
    assert codes(ROWS[:31]) == {"calibration_few_rows"}
    nearly = np.repeat(ROWS[:1], 40, axis=0)
    nearly[17, 2, 3] += 1
    assert codes(nearly) == set()
    assert codes(ROWS[:8]) == {"calibration_few_rows"}
    assert codes(np.repeat(ROWS[:1], 40, axis=0)) == {"calibration_one_value"}


def test_notes_say_what_was_found(tmp_path: Path) -> None:
    path = npz(tmp_path / "d.npz", x=np.linspace(0.25, 2, 60).reshape(5, 3, 4).astype(np.float32))
    assert list(read_calibration(path, SPECS, False).notes) == [
        f"{path} has 5 rows: ranges from so few may not fit other data",
        f"{path}: no value of x is negative (0.25 to 2): the range has to be that of the inputs "
        "in use; wrong if the model expects values scaled to be from 0 to 1 or around 0",
    ]
    path = npz(tmp_path / "c.npz", x=np.linspace(0, 1, 480).reshape(40, 3, 4).astype(np.float32))
    (note,) = read_calibration(path, SPECS, False).notes
    assert note.endswith("(0 to 1): the range has to be that of the inputs in use; wrong if the "
                         "model expects values scaled to be around 0")  # fmt: skip
    path = npz(tmp_path / "e.npz", x=np.repeat(ROWS[:1], 40, axis=0))
    assert list(read_calibration(path, SPECS, False).notes) == [f"{path}: all rows of x are equal"]


def test_whole_numbers_may_be_positive(tmp_path: Path) -> None:
    specs = [TensorSpec("x", "int64", ("N",), (1,))]
    assert read_calibration(npz(tmp_path / "d.npz", x=np.arange(40)), specs, False).notes == ()


def test_a_model_without_inputs_has_no_rows(tmp_path: Path) -> None:
    path = npz(tmp_path / "d.npz")
    with pytest.raises(PReLUToolsError, match="has 0 rows"):
        read_calibration(path, [], False)


def test_data_alone_has_no_labels_and_no_notes() -> None:
    assert CalibrationData((), (), (0, 0)) == CalibrationData((), (), (0, 0), {}, ())
