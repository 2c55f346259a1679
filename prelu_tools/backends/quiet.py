"""Keep the frameworks' chatter out of the terminal; show it to whoever asks, and what matters.

TensorFlow and oneDNN write from C++ before any of their switches is read, so the file descriptor
itself is turned away while they are imported or run.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_MATTERS = re.compile(
    r"trace to be incorrect"  # torch: a value that was taken for a constant
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


def _note(raised: list[warnings.WarningMessage]) -> None:
    heard = _heard.get()
    if heard is None:
        return
    for warning in raised:
        text = " ".join(str(warning.message).split())
        if _MATTERS.search(text) and text not in heard:
            heard.append(text)


@contextmanager
def quiet(show: bool, logger: str | None = None) -> Iterator[None]:
    """Within the block nothing reaches standard error or output; with `show`, everything.

    Args:
        show: whether to let everything through.
        logger: a logger of Python's to silence too; it may hold an open standard error of its own.
    """
    if show:
        yield
        return
    sys.stderr.flush()
    sys.stdout.flush()
    with _silenced(logger), tempfile.TemporaryFile() as sink:
        saved = os.dup(2), os.dup(1)
        os.dup2(sink.fileno(), 2)
        os.dup2(sink.fileno(), 1)
        try:
            with warnings.catch_warnings(record=True) as raised:
                warnings.simplefilter("always")
                try:
                    yield
                finally:
                    _note(raised)
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os.dup2(saved[0], 2)
            os.dup2(saved[1], 1)
            for descriptor in saved:
                os.close(descriptor)


@contextmanager
def _silenced(logger: str | None) -> Iterator[None]:
    if logger is None:
        yield
        return
    import logging

    named = logging.getLogger(logger)
    level = named.level
    named.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        named.setLevel(level)
