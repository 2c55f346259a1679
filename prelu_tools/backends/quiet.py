"""Keep the frameworks' chatter off the terminal, except for important messages, or with -v.

TensorFlow and oneDNN write from C++ before any of their switches is read, so the file descriptor
itself is redirected while they are imported or run.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar

_MATTERS = re.compile(
    r"trace to be incorrect"  # torch: a value that was treated as a constant
    r"|may generate (an )?incorrect|was assigned during export|were assigned during export"
    r"|unbuilt state|doesn't match the expected structure|Skipping variable loading"
    r"|skipping loading|could not be loaded|will be truncated|overflow"
)
_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


@contextmanager
def listening() -> Iterator[list[str]]:
    """What `quiet` silences within the block and a user should know all the same, as sentences.

    These are Python warnings which say that the result may not be what was meant. The list is
    filled while the block runs.
    """
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def _note(message: Warning | str) -> None:
    heard = _heard.get()
    text = " ".join(str(message).split())
    if heard is not None and _MATTERS.search(text) and text not in heard:
        heard.append(text)


@contextmanager
def quiet(show: bool, logger: str | None = None) -> Iterator[None]:
    """Within the block nothing reaches standard error or output; with `show`, everything.

    Both are of the whole process: with several threads in such blocks, they come back when the last
    one leaves its block, and what other threads write meanwhile is lost.

    Args:
        show: whether to let everything through.
        logger: a logger of Python's to silence too; it may hold an open standard error of its own.
    """
    if show:
        yield
        return
    _silence.enter(logger)
    try:
        yield
    finally:
        _silence.leave(logger)


class _Silence:
    """Streams that are redirected while any thread is in a block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._stack = ExitStack()
        self._loggers: dict[str, tuple[int, int]] = {}

    def enter(self, logger: str | None) -> None:
        """A block begins."""
        with self._lock:
            if not self._blocks:
                self._stack.enter_context(_descriptors_away())
                self._stack.enter_context(_warnings_away())
            self._blocks += 1
            if logger is not None:
                import logging

                named = logging.getLogger(logger)
                blocks, level = self._loggers.get(logger, (0, named.level))
                self._loggers[logger] = blocks + 1, level
                named.setLevel(logging.CRITICAL)

    def leave(self, logger: str | None) -> None:
        """A block ends."""
        with self._lock:
            self._blocks -= 1
            if logger is not None:
                blocks, level = self._loggers.pop(logger)
                if blocks > 1:
                    self._loggers[logger] = blocks - 1, level
                else:
                    import logging

                    logging.getLogger(logger).setLevel(level)
            if not self._blocks:
                self._stack.close()


_silence = _Silence()


@contextmanager
def _warnings_away() -> Iterator[None]:
    """Warnings go to whoever is `listening` in the thread that raises them."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: _note(message)
        yield


@contextmanager
def _descriptors_away() -> Iterator[None]:
    _flush()
    with tempfile.TemporaryFile() as sink:
        saved = {number: _copy_of(number) for number in (1, 2)}
        for number in saved:
            os.dup2(sink.fileno(), number)
        try:
            yield
        finally:
            _flush()
            for number, copy in saved.items():
                if copy is None:
                    os.close(number)
                else:
                    os.dup2(copy, number)
                    os.close(copy)


def _copy_of(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # it is closed
        return None


def _flush() -> None:
    for stream in (sys.stderr, sys.stdout):
        with suppress(OSError, ValueError, AttributeError):  # full, closed, or none at all
            stream.flush()
