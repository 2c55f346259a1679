"""Keep the frameworks' chatter out of the terminal; show it to whoever asks.

TensorFlow and oneDNN write from C++ before any of their switches is read, so the file descriptor
itself is turned away while they are imported or run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
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
