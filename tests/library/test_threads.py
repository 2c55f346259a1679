"""The library in threads: streams stay as they are, and every thread gets its own answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment
from tiny_models import save_dense

from prelu_tools.live import turns

CODE = """
import os, sys, threading, warnings
from prelu_tools import inspect, verify
paths = sys.argv[1:]
before = [os.fstat(number).st_ino for number in (1, 2)]
filters = list(warnings.filters)
found = {}
def work(number):
    path = paths[number % len(paths)]
    held = verify(path, path, samples=2, power=False, search_seconds=0)
    found[number] = held.verdict, inspect(path).layers[0].layer.slopes.ravel().tolist()
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert [os.fstat(number).st_ino for number in (1, 2)] == before
assert list(warnings.filters) == filters
assert len(found) == 8
for number, (verdict, slopes) in found.items():
    assert (verdict, slopes) == ("pass", [0.25, -0.5, 1.0 + number % len(paths)])
print("seen")
"""


def test_eight_threads(tmp_path: Path) -> None:
    paths = [
        save_dense(tmp_path / f"{number}.onnx", slopes=(0.25, -0.5, 1.0 + number))
        for number in range(3)
    ]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(os.fspath, paths)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "seen\n", "")


def test_threads_of_a_framework_sleep_while_they_wait_unless_the_user_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with turns("nets.py:Net", "net.onnx"):
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    del os.environ["OMP_WAIT_POLICY"]
    with turns("net.onnx", "net.npz"):
        assert "OMP_WAIT_POLICY" not in os.environ
    with turns("nets.py:Net", "net.onnx"):
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
