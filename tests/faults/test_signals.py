"""Asked to stop, a run puts away what it has begun; whatever was at the path stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, environment, with_default_signals
from tiny_models import save_dense

# The signal comes as a call is made, in the middle of the writing: `os.kill` in an audit hook.
_SCRIPT = """
import os, signal, sys
number, times, event, folder, *arguments = sys.argv[1:]
left = int(times)

def hook(name, values):
    global left
    if name == event and left and any(str(value).startswith(folder) for value in values):
        left -= 1
        if not left:
            os.kill(os.getpid(), int(number))

sys.addaudithook(hook)
sys.argv = ["prelu-tools", *arguments]
from prelu_tools.cli.main import main
main()
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


def _stopped(number: int, event: str, times: int, folder: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(int(number)), str(times), event, str(folder),
         *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
        preexec_fn=with_default_signals,
    )  # fmt: skip
    assert done.returncode == CODES[signal.Signals(number)], done.stderr
    return done.stderr


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize(("event", "times"), [("os.mkdir", 1), ("open", 2), ("os.rename", 1)])
def test_a_signal_while_a_model_is_written(
    number: int, event: str, times: int, net: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "net.onnx").write_bytes(b"old")
    said = _stopped(number, event, times, out, "export", net, "-o", out / "net.onnx", "--force")
    assert said.strip() == "Stopped."
    assert [path.name for path in out.iterdir()] == ["net.onnx"]
    assert (out / "net.onnx").read_bytes() == b"old"


@pytest.mark.parametrize("number", [signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_a_report_is_written(number: int, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "net.json").write_bytes(b"old")
    report = f"json={out / 'net.json'}"
    said = _stopped(number, "os.rename", 1, out, "inspect", net, "--report", report)
    assert said.strip() == "Stopped."
    assert [path.name for path in out.iterdir()] == ["net.json"]
    assert (out / "net.json").read_bytes() == b"old"


def test_a_signal_that_is_ignored_stays_so(net: Path, tmp_path: Path) -> None:
    """As `nohup` has it."""
    script = _SCRIPT.replace("left =", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nleft =", 1)
    out = tmp_path / "out.onnx"
    done = subprocess.run(
        [sys.executable, "-c", script, str(int(signal.SIGHUP)), "1", "os.rename", str(tmp_path),
         "export", str(net), "-o", str(out), "-q"],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.exists()
