"""Event files, as TensorBoard itself reads them back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from running import environment
from slope_records import slope_record

from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.slope_record import SlopeRecord
from prelu_tools.training.events import EventFile, binned

pytestmark = pytest.mark.tensorboard


def _write(folder: Path, *records: SlopeRecord) -> None:
    file = EventFile(folder)
    for record in records:
        file.write(record)
    file.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """TensorBoard's reader, which would load all of TensorFlow to open a file."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def accumulated(folder: Path) -> Any:
        found = EventAccumulator(str(folder), {"histograms": 0, "scalars": 0, "tensors": 0})
        return found.Reload()

    return accumulated


def test_scalars_and_histograms(tmp_path: Path, read: Any) -> None:
    track = SlopeTrack()
    looks = [np.array([0.25, 0.25, -0.5, 1.5]), np.array([0.25, 0.5, -0.5, 1.0])]
    _write(tmp_path, *(slope_record(10 * n, look, track) for n, look in enumerate(looks)))
    found = read(tmp_path)
    expected = {
        "slope_mean": [0.375, 0.3125],
        "slope_min": [-0.5, -0.5],
        "slope_max": [1.5, 1.0],
        "slope_negative_share": [0.25, 0.25],
        "slope_gradient": [0.5, 0.5],
        "slope_change": [0.5],
    }
    for tag, values in expected.items():
        events = found.Scalars(f"{tag}/block.act")
        assert [event.value for event in events] == values
        assert [event.step for event in events] == [0, 10][-len(values) :]
    assert {*found.Tags()["scalars"]} == {f"{tag}/block.act" for tag in expected}
    histograms = found.Histograms("slopes/block.act")
    for event, look in zip(histograms, looks, strict=True):
        value = event.histogram_value
        assert (value.num, value.min, value.max, value.sum) == (4, -0.5, look.max(), look.sum())
        assert sum(value.bucket) == 4
        for slope in look:
            place = np.searchsorted(value.bucket_limit, slope)
            around = value.bucket[max(0, place - 1) : place + 2]
            assert sum(around) >= 1
    assert histograms[1].wall_time == 1_700_000_010.5


def test_warnings_are_text(tmp_path: Path, read: Any) -> None:
    finding = Finding("not_moving", "warning", "it does not move", "block.act")
    _write(tmp_path, slope_record(3, np.ones(2), findings=(finding,)))
    (event,) = read(tmp_path).Tensors("slope_warnings/not_moving/block.act")
    assert event.step == 3
    assert event.tensor_proto.string_val[0] == b"**not_moving** block.act: it does not move"


@pytest.mark.parametrize("slopes", [[np.nan, 0.5, np.inf], [0.25, 0.25], [1e300, -1e300], [5e-324]])
def test_odd_slopes(tmp_path: Path, read: Any, slopes: list[float]) -> None:
    _write(tmp_path, slope_record(0, np.array(slopes)))
    (event,) = read(tmp_path).Histograms("slopes/block.act")
    finite = [slope for slope in slopes if np.isfinite(slope)]
    assert sum(event.histogram_value.bucket) == event.histogram_value.num == len(finite)
    limits = event.histogram_value.bucket_limit
    assert limits == sorted(limits)


def test_slopes_of_which_none_is_finite(tmp_path: Path, read: Any) -> None:
    _write(tmp_path, slope_record(0, np.array([np.nan, np.inf])))
    found = read(tmp_path).Tags()
    assert found["histograms"] == []
    assert "slope_mean/block.act" in found["scalars"]


def test_a_run_that_goes_on_replaces_what_it_repeats(tmp_path: Path, read: Any) -> None:
    _write(tmp_path, *(slope_record(step, np.full(2, float(step))) for step in (0, 10, 20, 30)))
    _write(tmp_path, *(slope_record(step, np.full(2, -float(step))) for step in (20, 40)))
    events = read(tmp_path).Scalars("slope_mean/block.act")
    assert [(e.step, e.value) for e in events] == [(0, 0), (10, 10), (20, -20), (40, -40)]


def test_buckets_hold_every_value() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    counts, edges = binned(values)
    assert (counts.sum(), len(edges)) == (1000, len(counts) + 1)
    assert edges[0] <= values.min() <= values.max() <= edges[-1]


LOADS = """
import sys
from pathlib import Path
from prelu_tools.training.events import EventFile
EventFile(Path("."))
print(sorted({"torch", "tensorflow", "keras", "onnxruntime"} & {*sys.modules}))
"""


def test_writing_them_loads_no_framework() -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOADS], capture_output=True, text=True, env=environment(), check=True
    )
    assert found.stdout.strip() == "[]"
