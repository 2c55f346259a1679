"""What shows on a terminal while many models are at work, and that nothing shows elsewhere."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import subprocess
import termios
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from odd_models import Odd, results
from running import ROOT, cli, environment, start, with_default_signals

_PLAIN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class _Terminal:
    """A command on a terminal of its own; what it wrote, without the colours."""

    def __init__(self, *arguments: object, columns: int = 80) -> None:
        master, slave = pty.openpty()
        self._master = master
        self._read = b""
        self.running = start(
            *arguments,
            stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True, start_new_session=True,
            preexec_fn=lambda: _own(slave),
            env=environment(PYTHONPATH=str(ROOT), TERM="xterm", COLUMNS=str(columns)),
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(master, False)

    @property
    def seen(self) -> str:
        """What was read so far; a character of which only a part was read is left out."""
        return _PLAIN.sub("", codecs.getincrementaldecoder("utf-8")().decode(self._read))

    def read(self) -> str:
        with suppress(OSError):  # nothing more for now, or the other side is closed
            while found := os.read(self._master, 1 << 16):
                self._read += found
        return self.seen

    def until(self, pattern: str) -> None:
        end = time.monotonic() + 300
        while not re.search(pattern, self.read()):
            assert time.monotonic() < end and self.running.poll() is None, self.seen  # noqa: PT018
            time.sleep(0.02)

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def end(self) -> str:
        """Standard output, once it has ended."""
        assert self.running.stdout is not None
        out = self.running.stdout.read()
        self.running.wait(300)
        self.read()
        os.close(self._master)
        return out


def _own(terminal: int) -> None:
    """The terminal is the one that Ctrl-C comes from."""
    with_default_signals()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Odd:
    monkeypatch.chdir(tmp_path)
    return Odd(tmp_path)


def test_a_terminal_sees_how_many_are_done_and_which_is_at_hand(odd: Odd) -> None:
    first, second = (Path("nets") / net.name for net in odd.nets(2))
    Path("bad.onnx").write_bytes(b"nonsense")
    terminal = _Terminal("inspect", first, "bad.onnx", "odd.py:waits", second)
    terminal.until(r"2/4 .*(--:--|0:0).*odd\.py:waits|odd\.py:waits.*2/4 .*(--:--|0:0)")
    assert "error  bad.onnx: bad.onnx is not an ONNX model" in terminal.seen  # as it comes
    odd.go.touch()
    out = terminal.end()
    assert terminal.running.returncode == 3
    assert "4 models, 2 ok, 2 errors" in out
    assert "models" not in terminal.seen  # results are for standard output alone


def test_ctrl_c_on_a_terminal_ends_all_and_says_how_to_go_on(odd: Odd) -> None:
    (net,) = odd.nets(1)
    terminal = _Terminal("inspect", net, "odd.py:sleeps", "--each", "--results", "r.jsonl")
    terminal.until(r"odd\.py:sleeps")
    while not odd.ready.exists():
        time.sleep(0.02)
    owned = psutil.Process(terminal.running.pid).children(recursive=True)
    assert owned
    terminal.press(b"\x03")
    assert terminal.end() == ""
    assert terminal.running.returncode == 130
    _, alive = psutil.wait_procs(owned, timeout=300)
    assert alive == []
    words = " ".join(terminal.seen.split())
    assert "1 of 2 models are done and kept in r.jsonl: run the same command with --resume" in words
    assert "Traceback" not in words
    assert len(results(Path("r.jsonl"))) == 1


def test_with_chatter_each_model_is_a_line(odd: Odd) -> None:
    first, second = odd.nets(2)
    terminal = _Terminal("inspect", first, second, first, second, "--each", "-v")
    terminal.end()
    assert f"1 of 2: ok  {first}\r\n2 of 2: ok  {second}" in terminal.seen


def test_nothing_shows_elsewhere(odd: Odd) -> None:
    odd.nets(2)
    found = cli("inspect", "nets")
    assert (found.code, found.err) == (0, "")
    assert cli("inspect", "nets", "-q").out == ""
