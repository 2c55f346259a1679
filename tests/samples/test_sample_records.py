"""A record of a sample says of every candidate what the sample itself says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import environment
from sample_list import ALL, Sample, marks_of, sample
from tampering import changed, set_slopes, set_values, tensor

import prelu_tools
from prelu_tools import VerifyResult

Exports = Callable[[Sample], Path]


def _other_bias(model: onnx.ModelProto) -> None:
    """Move the first bias by a hundredth."""
    name = next(
        node.input[-1]
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm", "Add") and _is_bias(model, node.input[-1])
    )
    values = numpy_helper.to_array(tensor(model, name)).copy()
    values.reshape(-1)[0] += 0.01
    set_values(model, name, values)


def _is_bias(model: onnx.ModelProto, name: str) -> bool:
    return any(t.name == name and t.dims and len(t.dims) <= 2 for t in model.graph.initializer)


def _candidates(path: Path, layers: list[str], folder: Path) -> Iterator[Path]:
    yield path
    yield changed(path, folder / "bias.onnx", _other_bias)
    for layer in layers[-1:]:
        node = next(
            n for n in onnx.load(path).graph.node if n.op_type == "PRelu" and layer in n.name
        )
        yield changed(path, folder / "negated.onnx", set_slopes(node.name, np.negative))
        yield changed(
            path, folder / "rolled.onnx", set_slopes(node.name, lambda x: x[::-1] + 0.125)
        )


def _said(result: VerifyResult) -> list[Any]:
    """What is found of each candidate, without what depends on who is asked."""
    return [
        (
            report.verdict,
            report.reasons,
            [(layer.name, layer.verdict, layer.difference, layer.note) for layer in report.layers],
            [(output.name, output.verdict, output.difference) for output in report.outputs],
            report.special,
            report.interface,
        )
        for report in result.candidates
    ]


_USUAL = ("keras_where.py:sequential_net", "torch_layers.py:OneSlopeNet", "mtcnn_torch.py:RNet")


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(
            one,
            id=one.key,
            marks=[*marks_of(one), *([] if one.label in _USUAL else [pytest.mark.thorough])],
        )
        for one in ALL
    ],
)
def test_a_record_says_what_the_sample_says(
    sample: Sample, exports: Exports, tmp_path: Path
) -> None:
    candidates = [str(c) for c in _candidates(exports(sample), list(sample.layers), tmp_path)]
    asked: Any = {"samples": 4, "search_seconds": 0.0}
    live = prelu_tools.verify(sample.source, *candidates, power=False, **asked)
    written = prelu_tools.record(sample.source, tmp_path / "net.npz", **asked)
    replayed = prelu_tools.verify(written.path, *candidates, power=False)
    assert _said(replayed) == _said(live)
    assert replayed.verdict == live.verdict
    assert replayed.coverage == live.coverage
    assert (replayed.samples, replayed.seed, replayed.sizes) == (
        live.samples,
        live.seed,
        live.sizes,
    )
    if sample.layers:
        assert [report.verdict for report in replayed.candidates] == [
            "pass",
            "fail",
            "fail",
            "fail",
        ]


_BLOCKED = """
import sys
from pathlib import Path

for name in ("torch", "tensorflow", "keras", "tf2onnx", "onnxscript", "onnx_ir", "h5py"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from running import cli

found = cli("verify", *sys.argv[2:], "--format", "json")
status = Path("/proc/self/status")  # of this program alone; getrusage counts its parent's fork
peak = status.read_text().partition("VmHWM:")[2].split() if status.exists() else [0]
print(found.code, int(peak[0]) // 1024, found.words[-200:])
"""


@pytest.mark.torch
@pytest.mark.real_models
def test_a_record_needs_no_framework(exports: Exports, tmp_path: Path) -> None:
    """Neither to read nor to run: the core alone, in less memory than a framework takes."""
    net = sample("mtcnn_torch.py:RNet")
    record = tmp_path / "net.npz"
    prelu_tools.record(net.source, record, search_seconds=0.0)
    rigs = Path(__file__).parents[1] / "rigs"
    given = [sys.executable, "-c", _BLOCKED, str(rigs), str(record), str(exports(net))]
    done = subprocess.run(given, capture_output=True, text=True, check=True, env=environment())
    code, megabytes, _ = done.stdout.split(maxsplit=2)
    assert code == "0", done.stdout
    assert int(megabytes) < 400
