"""Termination from outside: SIGTERM and SIGHUP, each with its own exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """The process was asked to end: it cleans up on the way out."""

    def __init__(self, number: int, text: str = "") -> None:
        """Store the number of the signal, and the message."""
        super().__init__(text)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code that shells give to it."""
        return 128 + self.number


def stop_at_signals() -> list[signal.Signals]:
    """End as on Ctrl-C when the system or a supervisor asks to; immediately on the second time.

    Returns:
        The signals that do so now, and did not before: those that had no handler.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    known = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}  # not on Windows
    free = [number for number in known if signal.getsignal(number) is signal.SIG_DFL]
    for number in free:
        signal.signal(number, stop)
    return free


@contextmanager
def stopping() -> Iterator[None]:
    """`stop_at_signals` for the time of a block."""
    changed = stop_at_signals()
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
