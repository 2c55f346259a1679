"""What can be tried here of a system that is none like this one: paths, processes, devices.

Not a test on Windows: it says that nothing in the way of one model asks for `fork`, for a module
that only POSIX has, for its signals, or for `/dev`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment
from tiny_models import save_dense

from prelu_tools.backends.source_spec import parse_source_spec

_SITE = """
import os
import signal
import subprocess
import sys

import psutil  # as it is on Linux

MISSING = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"}
UNASKED = {"torch", "tensorflow", "keras", "pytorch_lightning"}  # all else that doctor imports


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING | UNASKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocked())
for module, names in (
    (os, "fork forkpty killpg setsid getuid geteuid mkfifo posix_spawn getpgid"),
    (signal, "SIGHUP SIGKILL SIGALRM SIGUSR1 SIGXCPU alarm setitimer"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
subprocess._USE_POSIX_SPAWN = False  # Python 3.13 would use what was just removed


def opened(event, arguments):
    path = str(arguments[0]) if event == "open" else ""
    if path.startswith("/dev/") and path != os.devnull:  # which every system has
        print("opened", arguments[0], file=sys.stderr)
        os._exit(99)


sys.addaudithook(opened)
"""
_RUN = """
import json, os
from prelu_tools.cli.main import run

assert not hasattr(os, "fork")
print(json.dumps([run(line.split()) for line in json.load(open("lines.json"))]))
"""
_LINES = {
    "inspect net.onnx -q": 0,
    "inspect net.onnx net.onnx -q": 0,
    "verify net.onnx net.onnx -q": 0,
    "verify net.onnx net.onnx --report json=report.json --bundle failed -q": 0,
    "verify net.onnx other.onnx --bundle failed -q": 1,
    "export net.onnx -o clean.onnx -q": 0,
    "optimize net.onnx -o fast.onnx --no-tune -q": 0,
    "record net.onnx -o net.npz -q": 0,
    "verify net.npz net.onnx -q": 0,
    "doctor -q": 0,
    "inspect a\\b.onnx -q": 0,
    "inspect net.onnx other.onnx clean.onnx -q": 3,
}


def test_one_model_needs_nothing_that_only_posix_has(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE)
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "other.onnx", slopes=(0.5, 0.5, 0.5))
    save_dense(tmp_path / "a\\b.onnx")
    (tmp_path / "lines.json").write_text(json.dumps(list(_LINES)))
    found = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=environment(PYTHONPATH=str(site)),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    codes = json.loads(found.stdout.splitlines()[-1])
    assert dict(zip(_LINES, codes, strict=True)) == _LINES, found.stderr
    assert "worker processes need Linux or macOS" in found.stderr
    assert "This is a bug" not in found.stderr


@pytest.mark.parametrize(
    ("text", "module", "call", "weights"),
    [
        (r"C:\nets\my.py:Net", r"C:\nets\my.py", "Net", None),
        (r"C:\nets\my.py:Net(3)@D:\w\net.pt", r"C:\nets\my.py", "Net(3)", r"D:\w\net.pt"),
        (r"..\my.py:Net@w\net.safetensors", r"..\my.py", "Net", r"w\net.safetensors"),
        (r"C:/nets/my.py:Net", "C:/nets/my.py", "Net", None),
    ],
)
def test_paths_of_windows_are_taken_apart_as_others_are(
    text: str, module: str, call: str, weights: str | None
) -> None:
    found = parse_source_spec(text)
    assert (found.module, found.call) == (module, call)
    assert str(found.weights) == str(weights)


@pytest.mark.parametrize("text", [r"C:\nets\net.onnx", r"C:\new folder\net.keras", r"x\net.h5"])
def test_a_file_of_windows_is_a_file(text: str) -> None:
    found = parse_source_spec(text)
    assert (str(found.file), found.module) == (text, None)
