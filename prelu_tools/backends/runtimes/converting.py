"""The converter of a runtime, in its own process, because it may crash, print and write files."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prelu_tools.core.errors import PReLUToolsError

_SECONDS: Final = 600.0


class Workshop:
    """A folder that is there as long as the object that has it."""

    def __init__(self) -> None:
        """Make it."""
        self._folder = tempfile.TemporaryDirectory(
            prefix="prelu-tools-", ignore_cleanup_errors=True
        )
        self.path = Path(self._folder.name)


def run_converter(command: Sequence[str], folder: Path, name: str, label: str) -> str:
    """Run a converter in a folder; returns what it said.

    Args:
        command: what to run.
        folder: where.
        name: the converter's name, for messages.
        label: the model's.

    Raises:
        PReLUToolsError: it fails, or takes longer than ten minutes.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PReLUToolsError(f"{name} takes longer than {_SECONDS:.0f} s on {label}") from error
    except OSError as error:
        raise PReLUToolsError(f"{name} cannot be run: {error.strerror}") from error
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode:
        how = (
            f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        )
        raise PReLUToolsError(f"{name} cannot convert {label} ({how}): {last_words(said)}")
    return said


def last_words(said: str) -> str:
    """The last line of what a program said."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it gave no message"


def program(name: str, near: str) -> str | None:
    """A program that a package brought, by its path.

    Args:
        name: the program.
        near: the interpreter that the package is installed for.
    """
    beside = Path(near).parent / name
    return str(beside) if beside.exists() else shutil.which(name)
