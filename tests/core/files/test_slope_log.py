"""A training's log of slopes: written, read, torn and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from slope_records import slope_record

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.slope_log import as_line, read_log
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.slope_record import SlopeRecord


def _written(path: Path, *records: SlopeRecord) -> Path:
    path.write_text("".join(map(as_line, records)), encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    slopes = np.random.default_rng(0).normal(size=50)
    finding = Finding("not_moving", "warning", "„ä“ | no", "act")
    record = slope_record(7, slopes, findings=(finding,), gradient=None)
    found, torn = read_log(_written(tmp_path / "slopes.jsonl", record))
    assert found == [record]
    assert not torn


def test_every_float32_is_read_as_it_was(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2**32, 2000, np.uint64).astype(np.uint32)
    slopes = bits.view(np.float32)
    (found,), _ = read_log(_written(tmp_path / "slopes.jsonl", slope_record(0, slopes)))
    read = found.layers[0].slopes.astype(np.float32)
    np.testing.assert_array_equal(read, slopes)


def test_nan_and_infinity_are_words_that_all_json_readers_take(tmp_path: Path) -> None:
    slopes = np.array([np.nan, np.inf, -np.inf, 1.0])
    path = _written(tmp_path / "slopes.jsonl", slope_record(0, slopes))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["layers"][0]["slopes"] == ["NaN", "Infinity", "-Infinity", 1.0]
    np.testing.assert_array_equal(read_log(path)[0][0].layers[0].slopes, slopes)


def test_a_training_that_goes_on_from_before_replaces_what_it_repeats(tmp_path: Path) -> None:
    steps = [0, 10, 20, 30, 20, 40]
    records = [slope_record(step, np.array([float(place)])) for place, step in enumerate(steps)]
    found, _ = read_log(_written(tmp_path / "slopes.jsonl", *records))
    assert [(r.step, r.layers[0].slopes.tolist()) for r in found] == [
        (0, [0.0]), (10, [1.0]), (20, [4.0]), (40, [5.0]),
    ]  # fmt: skip


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "slopes.jsonl", slope_record(0, np.ones(3)), slope_record(1, np.ones(3))
    )
    whole = path.read_text()
    for cut in (1, 40, 200):
        path.write_text(whole[:-cut])
        found, torn = read_log(path)
        # All of a record but its newline is that record.
        assert ([r.step for r in found], torn) == (([0, 1], False) if cut == 1 else ([0], True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "contains no records"),
        ('{"kind": "inspect"}\n', "line 1 of"),
        ("[" * 100_000 + "\n", "line 1 of"),
        ("null\n", "line 1 of"),
    ],
)
def test_other_files_are_rejected(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "slopes.jsonl"
    path.write_text(text)
    with pytest.raises(PReLUToolsError, match=said):
        read_log(path)


def test_a_damaged_line_is_rejected_wherever_it_is(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "slopes.jsonl", slope_record(0, np.ones(3)), slope_record(1, np.ones(3))
    )
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second.replace('[1.0, 1.0', '[1.0, [1.0]')}\n")
    with pytest.raises(PReLUToolsError, match="line 2 of"):
        read_log(path)


def test_bytes_that_are_no_text_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "slopes.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PReLUToolsError, match="not a text file"):
        read_log(path)
    with pytest.raises(PReLUToolsError, match="cannot be read"):
        read_log(tmp_path / "none.jsonl")
