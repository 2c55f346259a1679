"""What is wrong with a command line is said before any framework is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from running import environment
from tiny_models import save_dense

from prelu_tools import verify

_NETS = """
import torch
from torch import nn


class FaceNet(nn.Module):
    def __init__(self, width=4): ...
"""
_SEEN = """
import json, sys
from prelu_tools.cli.main import run

codes = []
for line in json.load(open("lines.json")):
    codes.append(run(line))
    loaded = {"torch", "tensorflow", "keras"} & set(sys.modules)
    assert not loaded, (line, loaded)
print(codes)
"""
_LINES = {
    "verify nets.py:FaceNet no.onnx": 3,
    "verify nets.py:FaceNet@no.pt net.onnx": 3,
    "verify nets.py:FaceNt net.onnx": 2,
    "verify nets.py:FaceNet net.onnx --provider cuda": 3,
    "verify nets.py:FaceNet net.onnx --provider cuda --provider tensorrt": 3,
    "verify nets.py:FaceNet net.onnx --provider cpu:nonsense": 2,
    "verify nets.py:FaceNet net.onnx --inputs no.npz": 3,
    "verify nets.py:FaceNet net.onnx --save-inputs no/inputs.npz": 2,
    "verify no.keras net.onnx": 3,
    "export nets.py:FaceNt -o new.onnx": 2,
    "export nets.py:FaceNet@no.safetensors -o new.onnx": 3,
    "export nets.py:FaceNet -o no/new.onnx": 2,
    "export nets.py -o new.onnx": 2,
    "export no.keras -o new.onnx": 3,
    "inspect nets.py:FaceNt": 2,
    "inspect net.onnx nets.py:FaceNt": 2,
    "inspect nets.py:FaceNet no.onnx": 3,
    "inspect nets.py:FaceNet --data no.npz": 3,
    "optimize net.onnx -o new.onnx --choices no.json": 3,
    "optimize net.onnx -o new.onnx --inputs no.npz": 3,
    "optimize no.onnx -o new.onnx": 3,
    "optimize nets.py:FaceNet -o new.onnx": 2,
    "export nets.py:FaceNet -o new.onnx --slope-axis 1": 2,
    "export net.onnx -o new.onnx --input-layout nchw": 2,
    "inspect nets.py:FaceNet --target openvino": 2,
    "inspect nets.py:FaceNet --allow-unsafe-load": 2,
    "verify nets.py:FaceNet net.onnx --custom-objects layers.py": 2,
    "record nets.py:FaceNt -o new.npz": 2,
    "record nets.py:FaceNet -o new.npz --inputs no.npz": 3,
}


def test_nothing_heavy_is_loaded_for_a_command_line_that_cannot_be_right(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(_NETS)
    save_dense(tmp_path / "net.onnx")
    (tmp_path / "lines.json").write_text(json.dumps([line.split() for line in _LINES]))
    found = subprocess.run(
        [sys.executable, "-c", _SEEN],
        cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    codes = json.loads(found.stdout.splitlines()[-1])
    assert dict(zip(_LINES, codes, strict=True)) == _LINES


def test_a_candidate_that_cannot_be_run_is_a_result_and_no_error(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = verify(net, net, provider=["cuda", "tensorrt"])
    assert found.verdict == "inconclusive"
    assert [report.provider.requested for report in found.candidates if report.provider] == [
        "cuda", "tensorrt",
    ]  # fmt: skip
    assert "cuda is not in this build" in found.reasons[0]
    assert found.samples == 0
    missing = verify(net, tmp_path / "no.onnx")
    assert missing.reasons == (f"{tmp_path / 'no.onnx'} cannot be read: no such file",)


def test_one_that_can_be_run_is_judged_all_the_same(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = verify(net, tmp_path / "no.onnx", net, provider=["cuda", "cpu"])
    assert [report.verdict for report in found.candidates] == [
        "inconclusive", "inconclusive", "pass",
    ]  # fmt: skip
    assert found.samples
