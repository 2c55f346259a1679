"""Where the process itself is the point: streams, signals, pipes, and what the shell sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import ROOT, environment, process, start
from tiny_models import save_dense, save_prelu

_START = [sys.executable, "-m", "prelu_tools"]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


def test_results_go_to_standard_output_alone(net: Path) -> None:
    found = process("inspect", net)
    assert (found.code, found.err) == (0, "")
    assert "act" in found.out


def test_errors_go_to_standard_error_alone_without_a_traceback(tmp_path: Path) -> None:
    found = process("inspect", tmp_path / "missing.onnx")
    assert (found.code, found.out) == (3, "")
    assert found.err == f"Error: {tmp_path}/missing.onnx cannot be read: no such file\n"


def test_a_failed_check_is_seen_by_the_shell(net: Path, tmp_path: Path) -> None:
    other = save_dense(tmp_path / "other.onnx", slopes=(0.25, -0.5, 1.25))
    found = process("verify", net, other)
    assert (found.code, found.err) == (1, "")
    assert "FAIL" in found.out


def test_usage_is_2() -> None:
    found = process("inspect", "net.onnx", "--nonsense")
    assert (found.code, found.out) == (2, "")
    assert "Traceback" not in found.err


def test_the_console_script_is_the_same_program(net: Path) -> None:
    script = Path(sys.executable).with_name("prelu-tools")
    if not script.exists():
        pytest.skip("the package is not installed here")
    done = subprocess.run([script, "inspect", net], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == process("inspect", net).out


def test_names_that_are_no_ascii_are_printed_in_any_locale(tmp_path: Path) -> None:
    path = save_prelu(tmp_path / "net.onnx", layer="schicht_é_層")
    for variables in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "utf-8"}):
        found = process("inspect", path, env=environment(**variables))
        assert found.code == 0, found.err
        assert "3 slopes" in found.out


_SLOW = """
import pathlib
import time

pathlib.Path({ready!r}).touch()
time.sleep(600)
Net = None
"""


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    ready, nets = tmp_path / "ready", tmp_path / "slow_nets.py"
    nets.write_text(_SLOW.format(ready=str(ready)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = start(
        "export", f"{nets}:Net", "-o", tmp_path / "net.onnx", **pipes, text=True, cwd=ROOT
    )
    try:
        while not ready.exists() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=300)
    finally:
        running.kill()
    assert (running.returncode, out) == (130, "")
    assert "Stopped." in err
    assert "Traceback" not in err
    assert not (tmp_path / "net.onnx").exists()


def _into_a_closed_pipe(*arguments: object) -> tuple[int, str]:
    """Run with a standard output that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*_START, *map(str, arguments)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    os.close(write)
    return done.returncode, done.stderr


@pytest.mark.parametrize("more", [(), ("--format", "json", "--slopes")])
def test_a_reader_that_went_away_is_no_verdict(more: tuple[str, ...], tmp_path: Path) -> None:
    path = save_prelu(tmp_path / "net.onnx", slopes=[0.5] * 20_000, dims=("batch", 20_000))
    code, err = _into_a_closed_pipe("inspect", path, *more)
    assert code == 3
    assert "Traceback" not in err


def test_a_reader_that_went_away_sees_no_traceback(net: Path) -> None:
    _, err = _into_a_closed_pipe("inspect", net)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_the_folder_one_stands_in_does_not_matter(net: Path, tmp_path: Path) -> None:
    """Files that are called like modules are not imported in their place."""
    for name in ("json.py", "onnx.py", "rich.py"):
        (tmp_path / name).write_text("raise RuntimeError('the wrong one')\n")
    script = Path(sys.executable).with_name("prelu-tools")
    if not script.exists():
        pytest.skip("the package is not installed here")
    command = [script, "inspect", net.name]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("net", [
    pytest.param("torch_layers.py:Mlp", marks=pytest.mark.torch),
    pytest.param("keras_where.py:article_net", marks=pytest.mark.keras),
])  # fmt: skip
def test_frameworks_say_nothing_of_their_own(net: str, tmp_path: Path) -> None:
    source = f"{ROOT}/samples/{net}"
    found = process("export", source, "-o", tmp_path / "net.onnx", "--format", "json")
    assert (found.code, found.err) == (0, "")
    assert found.json["verification"]["verdict"] == "pass"


_THREADS = """
import os, sys
sys.argv = ["prelu-tools", sys.argv[1], "--help"]
end, told = os._exit, os.environ.get
os._exit = lambda code: (print("threads", told("OPENBLAS_NUM_THREADS"), flush=True), end(0))
from prelu_tools.cli.main import main
main()
"""


@pytest.mark.parametrize(("command", "threads"), [("inspect", "1"), ("verify", "None")])
def test_inspect_alone_has_numpy_start_no_threads(command: str, threads: str) -> None:
    free = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    line = [sys.executable, "-c", _THREADS, command]
    done = subprocess.run(line, env=free, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"threads {threads}"
