"""Progress shows on a terminal, while frameworks are silenced too, and nowhere else."""

from __future__ import annotations

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
from prelu_tools.core.progress import counted


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


def _read(terminal: int) -> str:
    os.set_blocking(terminal, False)
    found = b""
    with suppress(BlockingIOError):
        while True:
            found += os.read(terminal, 1 << 16)
    return found.decode()


def test_it_shows_how_far_a_part_is_and_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=False) as tell:
            tell("running nets.py:Net")
            for number in counted(range(40), "running the reference"):
                time.sleep(0.05 if number < 20 else 0)
                if number == 10:
                    during = _read(terminal)
            tell("checking net.onnx")
            time.sleep(0.3)
        after = _read(terminal)
    plain = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", during)
    assert "running the reference ... 0:00:0" in plain
    assert re.search(r"\d+ of 40", plain)
    assert "of 40" not in re.sub(r".*checking net\.onnx", "", after, flags=re.DOTALL)


def test_nobody_is_told_where_nobody_listens() -> None:
    assert list(counted(range(3), "part")) == [0, 1, 2]


def test_stages_show_while_a_framework_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    with _terminal(monkeypatch) as terminal:
        with progress(quiet=False) as tell:
            tell("loading [x]")
            with quiet(show=False):
                tell("converting")
                os.write(2, b"CUDA is not here")
                time.sleep(0.3)  # three frames
            during = _read(terminal)
        after = _read(terminal)
    assert "loading [x] ..." in during
    assert "converting ... 0:00:0" in re.sub("\x1b\\[[0-9;]*m", "", during)
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
