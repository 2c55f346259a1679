"""The benchmark of exporters: what it says of a file and of a process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from benchmarks.exporters import watch
from benchmarks.exporters.facts import Facts, read_facts
from benchmarks.exporters.models import MODELS, OURS, ROUTES
from benchmarks.exporters.run import Row, table

TEXT = """<ir_version: 10, opset_import: ["": 18]>
g (float[2,3] x) => (float[3,2] y)
<float[3] act_weight = {0.25, -0.5, 2.0}, float[3] val_1 = {0.5, 0.5, 0.25}>
{
    a = PRelu(x, act_weight)
    b = PRelu(a, val_1)
    y = Transpose<perm = [1, 0]>(b)
}"""


def test_a_file_is_counted_named_and_held_against_the_framework(tmp_path: Path):
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    (tmp_path / "model.onnx.data").touch()
    x = np.array([[1, -2, -1], [-4, 3, 5]], np.float32)
    first = np.where(x < 0, np.array([0.25, -0.5, 2.0], np.float32) * x, x)
    second = np.where(first < 0, np.array([0.5, 0.5, 0.25], np.float32) * first, first)
    facts = read_facts(path, ["act_weight", "other_weight"], x, [second.T + np.float32(0.5)])
    assert facts == Facts(
        nodes=3, prelus=2, transposes=1, files=2, named=1, layers=2, difference=0.5
    )


def test_a_process_is_timed_and_its_memory_is_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "LEAVE", 0)
    small = watch.watch([sys.executable, "-c", "pass"])
    large = watch.watch(
        [sys.executable, "-c", "held = b'x' * 200_000_000; import time; time.sleep(0.2)"]
    )
    assert small.failed == large.failed == ""
    assert small.seconds > 0
    assert large.peak - small.peak > 190_000_000


def test_a_process_that_fails_gives_its_last_words():
    done = watch.watch([sys.executable, "-c", "raise SystemExit('one\\nno such thing')"])
    assert done.failed == "no such thing"


def test_a_process_is_stopped_before_memory_runs_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "LEAVE", 2**62)
    done = watch.watch([sys.executable, "-c", "import time; time.sleep(600)"])
    assert done.failed.startswith("stopped")
    assert done.seconds < 600


def test_a_route_that_failed_says_so_in_its_row():
    failed = Row(MODELS[0], OURS, watch.Watched(1.5, 2**30, "no such op"), None, None)
    row = table([failed]).splitlines()[-1]
    assert "failed: no such op" in row
    assert row.count("|") == table([failed]).splitlines()[0].count("|")


def test_every_model_goes_through_ours():
    assert all(OURS in ROUTES[model.framework] for model in MODELS)
    assert {model.framework for model in MODELS} == set(ROUTES)
