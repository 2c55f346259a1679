"""Chatter is kept away; a warning that matters is handed on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from prelu_tools.backends.quiet import listening, quiet

_BAKED = "Converting a tensor to a Python boolean might cause the trace to be incorrect."


def _chatter() -> None:
    os.write(1, b"out")
    os.write(2, b"err")
    warnings.warn("this function is deprecated", DeprecationWarning, stacklevel=1)
    for _ in range(2):
        warnings.warn(f"{_BAKED}\n  more", UserWarning, stacklevel=1)


def test_only_what_matters_is_heard_and_once(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as heard, quiet(show=False):
        _chatter()
    assert heard == [f"{_BAKED} more"]
    assert capfd.readouterr() == ("", "")


def test_what_was_said_before_an_error_is_heard() -> None:
    with listening() as heard, pytest.raises(ValueError, match="no"), quiet(show=False):  # noqa: PT012
        _chatter()
        raise ValueError("no")
    assert len(heard) == 1


def test_whoever_asks_is_shown_everything(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as heard, quiet(show=True), pytest.warns(UserWarning, match="incorrect"):
        _chatter()
    assert heard == []
    assert capfd.readouterr() == ("out", "err")


def test_without_a_listener_nothing_is_kept() -> None:
    with quiet(show=False):
        _chatter()
    with listening() as heard:
        pass
    assert heard == []


def test_threads_leave_the_streams_and_the_warnings_as_they_were(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = [os.fstat(number).st_ino for number in (1, 2)]
    filters, level = list(warnings.filters), logging.getLogger("odd").level
    turn = threading.Barrier(8)
    heard: list[list[str]] = []

    def work(number: int) -> None:
        with listening() as mine, quiet(show=False, logger="odd"):
            turn.wait()
            warnings.warn(f"{_BAKED} {number}", UserWarning, stacklevel=1)
            for _ in range(number):
                with quiet(show=False):
                    pass
            turn.wait()
        heard.append(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.fstat(number).st_ino for number in (1, 2)] == before
    assert (warnings.filters, logging.getLogger("odd").level) == (filters, level)
    assert sorted(heard) == [[f"{_BAKED} {number}"] for number in range(8)]
    os.write(1, b"seen")
    assert capfd.readouterr().out == "seen"


def test_a_stream_that_is_closed_stays_closed() -> None:
    code = (
        "import os; os.close(1); from prelu_tools.backends.quiet import quiet\n"
        "with quiet(show=False): print('lost')\n"
        "try: os.fstat(1)\nexcept OSError: os._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
