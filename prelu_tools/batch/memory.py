"""How much memory is available, how much a model is likely to take, and who has to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from prelu_tools.core.results.batch import Command

_GROUP = Path("/sys/fs/cgroup")  # in a container, its limit rather than the machine's
# Base memory of a command with its frameworks, and how many times it holds the model.
_TAKES: Mapping[Command, tuple[int, float]] = {
    "inspect": (100 << 20, 1.5),
    "verify": (1 << 30, 8.0),
    "export": (1 << 30, 8.0),
}


def likely_need(command: Command, n_bytes: int) -> int:
    """Bytes that a model of this size is likely to take."""
    base, times = _TAKES[command]
    return base + int(times * n_bytes)


def available_memory() -> int:
    """Bytes that a new process can have: the machine's, or the container's if that is less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = int((_GROUP / "memory.max").read_text())
        used = int((_GROUP / "memory.current").read_text())
        facts = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no container, or no limit
        return free
    return min(free, limit - used + int(facts.get("inactive_file", 0)))


class MemoryGate:
    """Lets a model start when memory allows it next to the running ones, or when none runs."""

    def __init__(self, available: Callable[[], int] = available_memory) -> None:
        """Nobody is at work yet.

        Args:
            available: says how many bytes are free now.
        """
        self._available = available
        self._changed = threading.Condition()
        self._at_work: dict[object, tuple[int, Callable[[], int]]] = {}
        self._open = True

    def enter(
        self, who: object, need: int, held: Callable[[], int], full: Callable[[], None]
    ) -> bool:
        """Wait for room; False if the gate was shut meanwhile.

        Args:
            who: the job that wants to start.
            need: bytes that it is likely to take.
            held: says how many bytes its process holds at this time.
            full: called once if there is no room at first, to release idle memory.
        """
        with self._changed:
            if self._open and not self._has_room(need, held):
                full()
            while self._open and not self._has_room(need, held):
                self._changed.wait(0.5)
            self._at_work[who] = (need, held)
            return self._open

    def leave(self, who: object) -> None:
        """It is done."""
        with self._changed:
            self._at_work.pop(who, None)
            self._changed.notify_all()

    def shut(self) -> None:
        """Nobody starts any more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _has_room(self, need: int, held: Callable[[], int]) -> bool:
        """Memory that running jobs may still take does not count as free."""
        if not self._at_work:
            return True
        free, promised = self._available(), sum(wanted for wanted, _ in self._at_work.values())
        if free >= promised + need:  # whatever it holds: that takes long to find out
            return True
        promised = sum(max(0, wanted - now()) for wanted, now in self._at_work.values())
        return free - promised >= need - held()
