"""Run the command line: within this process where that is enough, else in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.cli.main import run

ROOT = Path(__file__).resolve().parent.parent
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
