"""Runs a command and watches it: how long it takes, how much memory, and that it leaves some."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEAVE = 2 * 2**30
"""Bytes that the system keeps; a command that takes them is stopped."""

PAUSE = 0.01
"""Seconds between two looks at a process."""


@dataclass(frozen=True)
class Watched:
    """How a command went."""

    seconds: float
    """Of the whole process."""
    peak: int
    """Bytes that it held at most."""
    failed: str
    """Its last words if it failed, or empty."""


def watch(command: Sequence[str]) -> Watched:
    """Run a command to its end, or to where memory gets short."""
    with tempfile.TemporaryFile("w+") as words:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT)
        stopped, peak = False, 0
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            if not stopped and available() < LEAVE:
                process.kill()
                stopped = True
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
        words.seek(0)
        said = words.read().strip().splitlines()
    failed = ""
    if stopped:
        failed = "stopped: less than 2 GB of the machine's memory was left"
    elif process.returncode:
        failed = said[-1] if said else f"exit code {process.returncode}"
    return Watched(seconds, peak, failed)


def _held(pid: int) -> int:
    """Return the most that a process has held since it began; 0 once it is over.

    Not ``ru_maxrss``, which a child begins with its parent's.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return 0
    return _kilobytes(status, "VmHWM") * 1024


def available() -> int:
    """Return the bytes that the system could still give."""
    return _kilobytes(Path("/proc/meminfo").read_text(), "MemAvailable") * 1024


def _kilobytes(text: str, key: str) -> int:
    """Read a line ``KEY: N kB``; 0 where there is none."""
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    return 0
