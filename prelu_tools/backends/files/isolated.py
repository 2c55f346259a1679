"""Run a reader in a process of its own.

HDF5 has no checksums, and its library may crash, hang or ask for gigabytes on a damaged file.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from prelu_tools.core.errors import PReLUToolsError

TIME_LIMIT = 30.0
"""Seconds that a reader may take."""
MEMORY_LIMIT = 4 << 30
"""Bytes of address space that a reader may take, where the system can limit it."""

_START = (
    "import json, sys; path, *rest = sys.argv[1:]; sys.path[:] = json.loads(path); "
    "from prelu_tools.backends.files.isolated import main; main(*rest)"
)


def run_isolated(reader: str, path: Path) -> Any:
    """Call a reader on a file, in a process of its own.

    Args:
        reader: `module:function`; it takes a path, and what it returns can be pickled.
        path: the file.

    Raises:
        PReLUToolsError: the reader raised one, crashed, or took too much time or memory.
    """
    command = [sys.executable, "-c", _START, json.dumps(sys.path), reader, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise PReLUToolsError(
            f"{path} is damaged: reading it did not end within {TIME_LIMIT:.0f} s"
        ) from error
    try:
        kind, value = pickle.loads(done.stdout)  # written by our own process
    except Exception as error:
        raise PReLUToolsError(
            f"{path} is damaged: reading it ended with exit code {done.returncode}"
        ) from error
    if kind == "error":
        raise PReLUToolsError(value)
    return value


def main(reader: str, path: str) -> None:
    """The process' side: write `("value" or "error", ...)`, pickled, to standard output."""
    _limit_memory()
    module, _, function = reader.partition(":")
    outcome: tuple[str, Any]
    try:
        outcome = "value", getattr(importlib.import_module(module), function)(Path(path))
    except PReLUToolsError as error:
        outcome = "error", str(error)
    except MemoryError:
        outcome = "error", f"{path} is damaged: reading it takes more than {MEMORY_LIMIT:,} bytes"
    sys.stdout.buffer.write(pickle.dumps(outcome))


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
