"""Calibration data: what does not fit is one clear sentence; a quarter of it is held out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_nets import npz

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.quantize.calibration import read_calibration
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
    "more names": ({"x": ROWS, "y": ROWS}, SPECS, "has y, which is not an input"),
    "rank": ({"x": ROWS[0]}, SPECS, r"has the shape \[3, 4\]; expected rows of \[N, 3, length\]"),
    "size": ({"x": ROWS[:, :2]}, SPECS, r"has the shape \[40, 2, 4\]; expected \[N, 3, length\]"),
    "bool": ({"x": ROWS > 0}, SPECS, "is of type bool; expected float32"),
    "float ids": ({"x": ROWS, "ids": ROWS[:, 0, 0]}, TWO, "is of type float32; expected int64"),
    "lengths": ({"x": ROWS, "ids": np.arange(39)}, TWO, "different numbers of rows: x 40, ids 39"),
    "few": ({"x": ROWS[:3]}, SPECS, "has 3 rows, which is too few"),
    "none": ({"x": ROWS[:0]}, SPECS, "has 0 rows, which is too few"),
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


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.array([{"a": 1}] * 4, dtype=object), allow_pickle=True)
    with pytest.raises(PReLUToolsError, match="array of Python objects"):
        read_calibration(path, SPECS, False)
    path.write_bytes(pickle.dumps({"x": ROWS}))
    with pytest.raises(PReLUToolsError, match=r"not a zip file|is a pickle"):
        read_calibration(path, SPECS, False)


def test_folders_have_to_hold_arrays(tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError, match=r"no \.npz or \.npy files"):
        read_calibration(tmp_path, SPECS, False)
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
    assert codes(ROWS[:8]) == {"calibration_few_rows"}
    assert codes(np.repeat(ROWS[:1], 40, axis=0)) == {"calibration_one_value"}
