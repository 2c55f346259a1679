"""Isolated readers in forks of one process that has imported what they need, torch above all.

They do what those of `isolated.in_new_process` do, without a second of imports each time. Tests of
that function itself: tests/backends/files/test_hdf5_safety.py, tests/hostile/test_foreign_code.py,
and all that run a command in a process of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from prelu_tools.backends.files import isolated
from prelu_tools.backends.files.isolated import Ended, Limits

_START = (
    "import json, sys; sys.path += json.loads(sys.argv[1]); "
    "from warm_readers import serve; serve(*sys.argv[2:])"
)
_ALWAYS = ("prelu_tools.backends.files.keras.vetting", "h5py")
_OF_TORCH = ("prelu_tools.backends.torch.files.vetting", "prelu_tools.backends.torch.files.weights")
_LOCK = threading.Lock()


def warm(reader: str, path: Path, limits: Limits) -> Ended:
    """What `isolated.in_new_process` does, where the reader is one of the tool's own."""
    if not reader.startswith("prelu_tools."):
        return isolated.in_new_process(reader, path, limits)
    asked = {
        "reader": [reader, str(path), str(limits.cpu_seconds), str(limits.memory)],
        "seconds": limits.wall_seconds,
        "memory": limits.memory,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    with _LOCK:
        server = _server(".torch." in reader, os.getpid())
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(asked).encode() + b"\n")
        server.stdin.flush()
        found = json.loads(server.stdout.readline())
        return Ended(found["code"], server.stdout.read(found["size"]))


@cache
def _server(with_torch: bool, _owner: int) -> subprocess.Popen[bytes]:
    places = json.dumps([str(Path(__file__).parent), *isolated.places("torch:load")])
    modules = [*_ALWAYS, *(_OF_TORCH if with_torch else ())]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-I", "-c", _START, places, *modules]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, **pipes)


def serve(*modules: str) -> None:
    """The process' side: fork for each reading, until nobody asks any more."""
    for name in modules:
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "wb")
    while line := sys.stdin.buffer.readline():
        ended = _forked(json.loads(line))
        head = {"code": ended.code, "size": len(ended.written)}
        answers.write(json.dumps(head).encode() + b"\n" + ended.written)
        answers.flush()


def _forked(asked: dict[str, Any]) -> Ended:
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.environ.clear()
            os.environ.update(asked["environment"])
            os.chdir(asked["folder"])
            os.dup2(sending, 1)
            isolated.main(*asked["reader"])
            os._exit(0)
        finally:
            os._exit(1)
    os.close(sending)
    late = threading.Event()

    def stop() -> None:
        late.set()
        os.kill(child, 9)

    timer = threading.Timer(asked["seconds"], stop)
    timer.start()
    with open(receiving, "rb") as pipe:
        written = pipe.read(asked["memory"])
    timer.cancel()
    if len(written) >= asked["memory"]:
        os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    return Ended(None if late.is_set() else os.waitstatus_to_exitcode(status), written)
