"""Runs a command and watches it: how long it takes, how much memory, and that it leaves some."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEAVE = 2 * 2**30
"""Bytes that the system keeps; a command that takes them is stopped."""


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
        stopped = False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if not stopped and available() < LEAVE:
                process.kill()
                stopped = True
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        words.seek(0)
        said = words.read().strip().splitlines()
    failed = ""
    if stopped:
        failed = "stopped: less than 2 GB of the machine's memory was left"
    elif process.returncode:
        failed = said[-1] if said else f"exit code {process.returncode}"
    return Watched(seconds, usage.ru_maxrss * 1024, failed)


def available() -> int:
    """Return the bytes that the system could still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo has no MemAvailable")
