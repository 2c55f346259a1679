"""`make test-cuda` where there is no CUDA: it says so; and its report, made on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tampering import changed, set_slopes, swap
from tiny_models import save_dense

import prelu_tools
from benchmarks import cuda

CUDA_IS_HERE = cuda.why_no_cuda() is None


def _prepared(folder: Path, name: str, wrong: bool = False) -> None:
    net = save_dense(folder / f"{name}.onnx")
    prelu_tools.record(net, net.with_suffix(".npz"))
    (folder / f"{name}.txt").write_text(f"{name}.py:Net\n")
    if wrong:
        changed(net, net, set_slopes("act", swap(0, 2)))


@pytest.mark.skipif(CUDA_IS_HERE, reason="CUDA is here")
def test_without_cuda_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cuda.main(["check", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert said.startswith("no CUDA here: ")
    assert "nothing was checked" in said
    assert not list(tmp_path.iterdir())


def test_a_gpu_without_its_driver_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(cuda.onnxruntime, "get_available_providers", lambda: found)
    monkeypatch.setattr(cuda.shutil, "which", lambda _name: None)
    assert cuda.why_no_cuda() == "nvidia-smi names no GPU"


def test_every_sample_is_listed() -> None:
    assert "mtcnn_torch.py:RNet" in cuda.samples()
    assert len(cuda.samples()) > 20


def test_the_report_has_each_sample_on_each_provider(tmp_path: Path) -> None:
    _prepared(tmp_path, "right")
    rows = cuda.check(tmp_path, ("cpu",))
    cuda.write_report(tmp_path, rows)
    assert cuda.exit_code(rows) == 0
    (row,) = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert (row["sample"], row["verdict"], row["n_nodes_elsewhere"]) == ("right.py:Net", "pass", 0)
    assert row["milliseconds"] > 0
    assert "| `right.py:Net` | cpu | pass |" in (tmp_path / "report.md").read_text()


def test_a_wrong_file_fails(tmp_path: Path) -> None:
    _prepared(tmp_path, "right")
    _prepared(tmp_path, "wrong", wrong=True)
    rows = cuda.check(tmp_path, ("cpu",))
    assert cuda.exit_code(rows) == 1
    assert any("channels 0 and 2 swapped" in reason for reason in rows[1].reasons)


@pytest.mark.skipif(CUDA_IS_HERE, reason="CUDA is here")
def test_a_provider_that_does_not_load_is_no_pass(tmp_path: Path) -> None:
    _prepared(tmp_path, "right")
    rows = cuda.check(tmp_path, ("cpu", cuda.CUDA, cuda.TF32))
    assert [row.verdict for row in rows] == ["pass", "inconclusive", "inconclusive"]
    assert cuda.exit_code(rows) == 3
    assert cuda.exit_code([]) == 3
