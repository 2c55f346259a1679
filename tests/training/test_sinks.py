"""What decides who writes, and where."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.protocol.living import LayerState
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, UsageError
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.training import recorder as recorders
from prelu_tools.training.ranks import is_first_process
from prelu_tools.training.recorder import Recorder, SlopeWarning, recorder_for


class Told:
    """A model with one layer, whose slopes are given."""

    notes: tuple[str, ...] = ()
    shows_gradients = True

    def __init__(self, *looks: Array) -> None:
        self.looks = list(looks)
        first = looks[0]
        self.layers = (
            PReLULayer(
                "act", ("act",), "act.weight", "PReLU", first, None, first.shape, None, True
            ),
        )

    def look(self) -> list[LayerState]:
        return [LayerState(self.looks.pop(0).reshape(-1), True, True, 0.0, 0.1)]

    def negatives(self) -> None:
        return None


class Histogram:
    """As `wandb.Histogram`, of which `np_histogram` is documented."""

    def __init__(self, np_histogram: tuple[list[int], list[float]]) -> None:
        counts, edges = np_histogram
        assert len(edges) == len(counts) + 1
        self.counts = counts


class Run:
    """As `wandb.Run`: the methods that its documentation names, with their arguments."""

    def __init__(self) -> None:
        self.metrics: list[tuple[str, str | None]] = []
        self.logged: list[dict[str, Any]] = []
        self.alerts: list[tuple[str, str]] = []

    def define_metric(
        self, name: str, step_metric: str | None = None, *, hidden: bool | None = None
    ) -> None:
        self.metrics.append((name, step_metric))

    def log(
        self, data: dict[str, Any], step: int | None = None, commit: bool | None = None
    ) -> None:
        assert step is None  # it would move the program's own steps
        self.logged.append(data)

    def alert(self, title: str, text: str) -> None:
        self.alerts.append((title, text))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    module = SimpleNamespace(run=Run(), Histogram=Histogram)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_an_active_run_of_wandb_is_logged_to(tmp_path: Path, wandb: Any) -> None:
    recorder = Recorder(tmp_path, tensorboard=False)
    recorder.take(Told(np.array([0.25, -0.5]), np.array([0.25, -2.0])))
    recorder.record(0)
    with pytest.warns(SlopeWarning, match="outside_range"):
        recorder.record(100)
    run = wandb.run
    assert run.metrics == [("slopes/step", None), ("slopes/*", "slopes/step")]
    first, second = run.logged
    assert (first["slopes/step"], second["slopes/step"]) == (0, 100)
    assert second["slopes/act/change"] == 1.5
    assert "slopes/act/change" not in first
    assert sum(second["slopes/act/histogram"].counts) == 2
    ((title, text),) = run.alerts
    assert title == "outside_range act"
    assert "left [-1, 2]" in text


def test_wandb_without_a_run_is_left_alone(tmp_path: Path, wandb: Any) -> None:
    wandb.run = None
    recorder = Recorder(tmp_path, tensorboard=False)
    recorder.take(Told(np.ones(2)))
    recorder.record(0)
    assert len(read_log(tmp_path / "slopes.jsonl")[0]) == 1
    asked = Recorder(tmp_path, tensorboard=False, wandb=True)
    asked.take(Told(np.ones(2)))
    with pytest.raises(UsageError, match=r"call wandb\.init\(\)"):
        asked.record(0)


def test_what_is_asked_for_and_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UsageError, match="pip install wandb"):
        Recorder(tmp_path, wandb=True)
    with pytest.raises(MissingExtraError, match=r"prelu-tools\[training\]"):
        Recorder(tmp_path, tensorboard=True)
    plain = Recorder(tmp_path)
    plain.take(Told(np.ones(2)))
    plain.record(0)
    assert [path.name for path in tmp_path.iterdir()] == ["slopes.jsonl"]


def test_each_thing_is_warned_of_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, tensorboard=False)
    recorder.take(Told(*[np.array([2.5])] * 8))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for step in range(8):
            recorder.record(step)
    codes = [str(each.message).split(":")[0] for each in said]
    assert codes == ["outside_range act", "not_moving act"]
    steps = {r.step: [f.code for f in r.findings] for r in read_log(tmp_path / "slopes.jsonl")[0]}
    assert steps[0] == ["outside_range"]
    assert steps[5] == ["not_moving"]
    assert sum(map(len, steps.values())) == 2


def _tf_config(kind: str, index: int, chief: bool = False) -> str:
    cluster = {"worker": ["a:1", "b:1"], **({"chief": ["c:1"]} if chief else {})}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("variables", "is_first"),
    [
        ({}, True),
        ({"RANK": "0"}, True),
        ({"RANK": "3"}, False),
        ({"TF_CONFIG": _tf_config("worker", 0)}, True),
        ({"TF_CONFIG": _tf_config("worker", 1)}, False),
        ({"TF_CONFIG": _tf_config("chief", 0, chief=True)}, True),
        ({"TF_CONFIG": _tf_config("worker", 0, chief=True)}, False),
        ({"TF_CONFIG": _tf_config("ps", 0)}, False),
        ({"TF_CONFIG": "no JSON"}, True),
        ({"TF_CONFIG": "[]"}, True),
    ],
)
def test_which_process_writes(
    variables: dict[str, str], is_first: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is is_first
    assert (recorder_for(tmp_path, 10, {}) is not None) is is_first
    with pytest.raises(UsageError):
        recorder_for(tmp_path, 0, {})
