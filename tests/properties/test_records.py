"""Random nets: what a record says of right and wrong files is what the net itself says."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from pipeline import NEWEST, with_a_wrong_slope
from random_nets import Net, nets
from writing_nets import save

import prelu_tools
from prelu_tools import VerifyResult

GRAPHS = int(os.environ.get("PRELU_GRAPHS", "200")) // 20
SEED = int(os.environ.get("PRELU_SEED", "0"))


def test_records_say_what_nets_say() -> None:
    @seed(SEED)
    @settings(
        max_examples=GRAPHS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(net=nets(NEWEST))
    def same(net: Net) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _compare(net, Path(folder))

    same()


def _compare(net: Net, folder: Path) -> None:
    source = save(net, folder / "net.onnx", external=False)
    right = folder / "right.onnx"
    prelu_tools.export(source, right, verify=False)
    wrong = with_a_wrong_slope(right, folder / "wrong.onnx", SEED)
    record = folder / "net.npz"
    prelu_tools.record(source, record, samples=4, search_seconds=0.0)
    asked: Any = {"power": False, "layout": {"reference": "nchw", "candidate": "nchw"}}
    live = prelu_tools.verify(source, right, wrong, samples=4, search_seconds=0.0, **asked)
    kept = prelu_tools.verify(record, right, wrong, **asked)
    assert _said(kept) == _said(live)
    assert kept.notes[1:] == live.notes


def _said(result: VerifyResult) -> Any:
    return json.loads(replace(result, reference="", notes=()).report("json"))
