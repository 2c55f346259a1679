"""The real W&B, offline: what its run file holds is read back."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.wandb, pytest.mark.torch]
_BLOCK, _FILE_HEADER, _WHOLE, _LAST = 32768, 7, 1, 4


def _records(data: bytes) -> Iterator[Any]:
    """The records of a `.wandb` file: LevelDB's log format, of protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    at, parts = _FILE_HEADER, b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:
            at += _BLOCK - at % _BLOCK
            continue
        size, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (_WHOLE, _LAST):
            yield Record.FromString(parts)
            parts = b""


def _train(run: Any, log: Path) -> None:
    """Five steps with weight decay, whose loss the program logs too."""
    import torch
    from torch import nn

    from prelu_tools.training import TorchSlopeLogger

    net = nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, weight_decay=0.1)
    with TorchSlopeLogger(net, optimizer, log, every=2, tensorboard=False):
        for step in range(5):
            optimizer.zero_grad()
            net(torch.randn(8, 3)).pow(2).mean().backward()
            optimizer.step()
            run.log({"loss": step})


def test_slopes_are_in_the_file_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    from prelu_tools.training import SlopeWarning

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="slopes", dir=tmp_path)
    with pytest.warns(SlopeWarning, match="slopes_decay"):
        _train(run, tmp_path / "log")
    run.finish()

    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = list(_records(file.read_bytes()))
    rows = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in r.item}
        for r in (record.history for record in records if record.HasField("history"))
    ]
    logged = [row for row in rows if "slopes/step" in row]
    assert [row["slopes/step"] for row in logged] == [0, 2, 4]
    assert logged[0]["slopes/1/mean"] == 0.25
    assert logged[-1]["slopes/1/mean"] == pytest.approx(0.2, abs=0.1)
    assert sum(logged[-1]["slopes/1/histogram/values"]) == 4
    assert [row["loss"] for row in rows if "loss" in row] == [0, 1, 2, 3, 4]
    axes = {m.glob_name: m.step_metric for m in (r.metric for r in records if r.HasField("metric"))}
    assert axes["slopes/*"] == "slopes/step"
    (alert,) = (record.alert for record in records if record.HasField("alert"))
    assert alert.title == "slopes_decay"
