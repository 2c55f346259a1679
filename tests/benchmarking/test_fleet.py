"""The benchmark of many models: it refuses a run that lost one, and says how the rest grows."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from benchmarks.fleet.models import save_models
from benchmarks.fleet.report import growth, lines
from benchmarks.fleet.run import Measured, measure


def test_no_two_models_are_alike(tmp_path: Path) -> None:
    paths = sorted(save_models(tmp_path, 3).iterdir())
    for path in paths:
        onnx.checker.check_model(onnx.load(path), full_check=True)
    assert len({path.read_bytes() for path in paths}) == 3


def test_a_run_is_measured_and_one_that_lost_a_model_is_none(tmp_path: Path) -> None:
    folder = save_models(tmp_path, 2)
    found = measure("inspect", "one", folder, 2)
    assert found.seconds > 0
    assert found.cpu_seconds is not None
    assert found.result_bytes is not None
    with pytest.raises(SystemExit, match="2 results"):
        measure("inspect", "one", folder, 3)


def _measured(way: str, models: int, seconds: float, cpu: float | None = None) -> dict[str, object]:
    return vars(
        Measured("inspect", way, models, seconds, cpu, cpu and 50 + models / 10, cpu, 3000.0)
    )


def test_the_table_and_the_growth() -> None:
    known = [
        _measured("alone", 100, 50.0),
        _measured("one", 100, 3.0, 1.0),
        _measured("one", 50, 2.0, 0.9),
    ]
    text = list(lines(known))
    assert [line.split("|")[2:7] for line in text[2:5]] == [
        [" 50 ", " 1 worker process ", " 2.0 ", " 40.0 ", " 0.080 "],
        [" 100 ", " one command per model ", " 50.0 ", " 500.0 ", " 1.000 "],
        [" 100 ", " 1 worker process ", " 3.0 ", " 30.0 ", " 0.060 "],
    ]
    assert text[-1].startswith("| inspect | 1 worker process | 50 to 100 | 1.0 | 20.0 |")
    assert growth(known[:0:-1]) == text[-1]
