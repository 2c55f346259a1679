"""Standard output and standard error closed or full: an exit code, and never a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment
from tiny_models import save_dense

COMMAND = shlex.quote(str(Path(sys.executable).with_name("prelu-tools")))
QUICK = ["--samples", "2", "--no-power", "--search-seconds", "0"]
ARGUMENTS = {
    "inspect": ["inspect", "net.onnx"],
    "inspect -q": ["inspect", "net.onnx", "-q"],
    "pass": ["verify", "net.onnx", "net.onnx", *QUICK],
    "many": ["inspect", ".", "--jobs", "2"],
    "error": ["inspect", "nothing.onnx"],
    "usage": ["inspect", "--no-such-option"],
    "help": ["--help"],
    "export": ["export", "net.onnx", "-o", "made.onnx", "--force"],
}
ALL = (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full",
                ">/dev/full 2>/dev/full", "| true")  # fmt: skip
FEW = ("<&- >&- 2>&-", ">/dev/full 2>/dev/full", "| true")
EACH_WAY = ("inspect", "error")  # a result and a message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("nets")
    save_dense(place / "net.onnx")
    return place


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_there_is_an_exit_code_and_no_traceback(name: str, folder: Path) -> None:
    command = " ".join([COMMAND, *ARGUMENTS[name]])
    right = {"error": {3}, "usage": {2, 3}}.get(name, {0, 3})
    for redirection in ALL if name in EACH_WAY else FEW:
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} {redirection}"],
            capture_output=True,
            env=environment(),
            cwd=folder,
            check=False,
        )
        assert done.returncode in right, (redirection, done.stderr)
        assert b"Traceback" not in done.stdout + done.stderr
        assert b"Exception ignored" not in done.stdout + done.stderr


def test_a_verdict_is_one_though_nobody_reads_it(folder: Path) -> None:
    save_dense(folder / "other.onnx", slopes=(0.25, -0.5, 1.25))
    command = f"{COMMAND} verify net.onnx other.onnx {' '.join(QUICK)}"
    for redirection in (">&-", ">&- 2>&-", ">/dev/null"):
        done = subprocess.run(
            ["bash", "-c", f"{command} {redirection}"], env=environment(), cwd=folder, check=False
        )
        assert done.returncode == 1
    (folder / "other.onnx").unlink()


def test_no_file_becomes_standard_output(folder: Path) -> None:
    """What is opened first would otherwise get the number of a stream that is closed."""
    before = (folder / "net.onnx").read_bytes()
    command = f"{COMMAND} inspect net.onnx --report json=made.json <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], env=environment(), cwd=folder, check=False)
    assert done.returncode == 0
    assert (folder / "net.onnx").read_bytes() == before
    assert (folder / "made.json").read_text().startswith("{")
    os.unlink(folder / "made.json")  # noqa: PTH108
