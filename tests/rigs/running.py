"""Run the command line: within this process where that is enough, else in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = ("PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONSTARTUP")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    """Its exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""

    @property
    def json(self) -> Any:
        """Standard output as a JSON document."""
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Everything that was said, with every run of white space as one blank."""
        return " ".join(f"{self.out} {self.err}".split())


def cli(*arguments: object) -> Outcome:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def environment(**variables: str) -> Mapping[str, str]:
    """This process' environment without what would change how Python runs."""
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return {**kept, **variables}


def with_default_signals() -> None:
    """Run in a child before it starts: signals as in the foreground of a terminal.

    Under `nohup`, or in the background of a shell, this process ignores some, and so would a child.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(*arguments: object, **options: Any) -> subprocess.Popen[Any]:
    """Start the command line in a process of its own, and do not wait for it.

    Args:
        arguments: of the command line.
        options: of `subprocess.Popen`.
    """
    command = [sys.executable, "-m", "prelu_tools", *map(str, arguments)]
    options = {"env": environment(), "preexec_fn": with_default_signals, **options}
    return subprocess.Popen(command, **options)


def process(*arguments: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Outcome:
    """Run the command line in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-m", "prelu_tools", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment() if env is None else env,
        check=False,
    )
    return Outcome(found.returncode, found.stdout, found.stderr)


def check_nothing_is_loaded(path: Path, runtime: str) -> None:
    """`inspect` reads the one layer of a file, and loads neither a framework nor a runtime."""
    code = (
        "import sys; from prelu_tools.cli.main import run; "
        f"code = run(['inspect', {str(path)!r}, '--format', 'json', '--expect-layers', '1']); "
        f"heavy = {{'tensorflow', 'torch', 'onnxruntime', 'keras', {runtime!r}}}; "
        "sys.exit(code or len(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def until(true: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for what a process does meanwhile."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
