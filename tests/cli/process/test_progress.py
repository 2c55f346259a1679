"""Progress shows on a terminal, while frameworks are silenced too, and nowhere else."""

from __future__ import annotations

import codecs
import io
import os
import pty
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from prelu_tools.backends.quiet import quiet
from prelu_tools.cli.output import progress
from prelu_tools.core.process.progress import counted


@contextmanager
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where to read what is written to standard error, which is a terminal."""
    master, slave = pty.openpty()
    saved = os.dup(2)
    os.dup2(slave, 2)
    with os.fdopen(os.dup(slave), "w") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        patch.setenv("TERM", "xterm")
        yield master
    os.dup2(saved, 2)
    for descriptor in (master, slave, saved):
        os.close(descriptor)


def _read(terminal: int, until: str = "") -> str:
    """The screen without its colours, as soon as it contains a text."""
    os.set_blocking(terminal, False)
    found, end = b"", time.monotonic() + 300
    while True:
        with suppress(BlockingIOError):
            while True:
                found += os.read(terminal, 1 << 16)
        text = re.sub("\x1b\\[[0-9;]*m", "", codecs.getincrementaldecoder("utf-8")().decode(found))
        if re.search(until, text) or time.monotonic() > end:
            return text
        time.sleep(0.01)


def test_it_shows_how_far_a_part_is_and_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=False) as tell:
            tell("running nets.py:Net")
            for number in counted(range(40), "running the reference"):
                if number == 10:
                    during = _read(terminal, r"running the reference \.\.\. 0:00.*10 of 40")
            tell("checking net.onnx")
            after = _read(terminal, r"checking net\.onnx")
        after += _read(terminal)
    assert re.search(r"running the reference \.\.\. 0:00.*10 of 40", during)
    assert "of 40" not in re.sub(r".*checking net\.onnx", "", after, flags=re.DOTALL)
    assert "checking net.onnx" in after


def test_nobody_is_told_where_nobody_listens() -> None:
    assert list(counted(range(3), "part")) == [0, 1, 2]


def test_stages_show_while_a_framework_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=False) as tell:
            tell("loading [x]")
            during = _read(terminal, r"loading \[x\] \.\.\.")
            with quiet(show=False):
                tell("converting")
                os.write(2, b"CUDA is not here")
                during += _read(terminal, r"converting \.\.\. 0:00")
        after = _read(terminal)
    assert "loading [x] ..." in during
    assert "converting ... 0:00" in during
    assert "CUDA" not in during
    assert "\x1b[?25h" in after  # the cursor is back
    assert "\x1b[2K" in after  # and the line is gone


def test_with_chatter_each_stage_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=False, verbose=True) as tell:
            tell("loading")
            tell("converting")
        assert _read(terminal).split("\r\n") == ["loading ...", "converting ...", ""]


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=True, verbose=True) as tell:
            tell("loading")
        assert _read(terminal) == ""


def test_nothing_shows_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with progress(quiet=False) as tell:
        tell("loading")
    assert written.getvalue() == ""
