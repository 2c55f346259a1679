"""A page taken apart: what it shows, run in a folder of its own, and what came of it.

`console` blocks are commands behind `$ ` with their output; `sh` and `fish` blocks are commands
alone; a `python` block runs alone, or after `<!-- continued -->` with the names of the one before,
and a `text` block that follows one is its output. A line `...` in an output stands for any lines.
`<!-- numbers within 0.05 -->` before a block has its numbers compared too, and not only its words;
`<!-- timed -->` only the first lines of its outputs.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shown import normal

from prelu_tools.cli.main import run

_BLOCK = re.compile(
    r"(?:<!-- (?:numbers within (?P<within>[\d.]+)|(?P<timed>timed)|(?P<continued>continued)) -->"
    r"\n+)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
_FOR_A_SHELL = re.compile(r"[|><$`;&]")
RUN = ("console", "sh", "fish", "python")
SHOWN = ("text", "toml", "yaml", "json", "cpp")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    """What stands behind its fence."""
    text: str
    """What stands in it."""
    line: int
    """Where its text begins."""
    within: float | None
    """How far its numbers may be off; None where they are not compared."""
    timed: bool
    """Whether a clock has chosen what it shows: only the first line of each output is compared."""
    continued: bool
    """Whether a Python block goes on with the names of the one before."""
    start: int
    """Where its text begins, in characters."""


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            found["language"],
            found["text"],
            page.count("\n", 0, found.start("text")) + 1,
            float(found["within"]) if found["within"] else None,
            bool(found["timed"]),
            bool(found["continued"]),
            found.start("text"),
        )
        for found in _BLOCK.finditer(page)
    ]


def commands_of(block: Block) -> list[tuple[str, str]]:
    """The commands of a block, each with the output that is shown for it."""
    if block.language in ("sh", "fish"):
        return [(line, "") for line in block.text.splitlines() if line]
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    assert parts[0] == "", f"line {block.line}: output before the first command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


@dataclass
class Session:
    """Runs what a page shows."""

    folder: Path
    """The folder that it is run in, with `samples` in it."""
    code: int = 0
    """What the last command exited with."""
    names: dict[str, Any] = field(default_factory=dict)
    """What the last Python block has defined, and those that it goes on with."""

    def command(self, line: str, language: str) -> str:
        """Run a command; what it printed, or what it had to say where it exited otherwise than 0.

        Raises:
            AssertionError: the one before failed, and the page does not show its exit code.
        """
        if line == "echo $?":
            code, self.code = self.code, 0
            return f"{code}\n"
        assert self.code == 0, f"exit code {self.code} before {line!r}: the page has no 'echo $?'"
        if language != "fish" and line.startswith("prelu-tools ") and not _FOR_A_SHELL.search(line):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.code = run(shlex.split(line, comments=True)[1:])
            said = out.getvalue(), err.getvalue()
        else:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            shell = "fish" if language == "fish" else "bash"
            found = subprocess.run(
                [shell, "-c", line],
                capture_output=True,
                text=True,
                env={**os.environ, "PATH": path, "HOME": str(self.folder)},
                check=False,
            )
            self.code, said = found.returncode, (found.stdout, found.stderr)
        return said[0] if self.code == 0 else "".join(said)

    def python(self, block: Block, page: str) -> str:
        """Run a Python block; what it printed."""
        if not block.continued:
            self.names = {"__name__": "page"}
        out = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.text, page, "exec")
        with contextlib.redirect_stdout(out):
            exec(code, self.names)
        return out.getvalue()


def agree(shown: str, printed: str, within: float | None = None, timed: bool = False) -> bool:
    """Whether a page shows what was printed."""
    if timed:
        return agree(*(text.partition("\n")[0] for text in (shown, printed)))
    if within is not None:
        return _agree_by_lines(shown, printed, within)
    pieces = [normal(piece) for piece in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)]
    pattern = ".*".join(re.escape(piece) for piece in pieces)
    return re.fullmatch(pattern, normal(printed), re.DOTALL) is not None


def _agree_by_lines(shown: str, printed: str, within: float) -> bool:
    """Each line that is shown was printed, in this order, and nothing between but behind `...`."""
    left = [line for line in printed.splitlines() if line.strip()]
    skipping = False
    for line in (line for line in shown.splitlines() if line.strip()):
        if line == "...":
            skipping = True
            continue
        while skipping and left and not _same(line, left[0], within):
            left.pop(0)
        if not left or not _same(line, left.pop(0), within):
            return False
        skipping = False
    return skipping or not left


def _same(shown: str, printed: str, within: float) -> bool:
    if normal(shown) != normal(printed):
        return False
    pairs = zip(_numbers(shown), _numbers(printed), strict=True)
    return all(abs(left - right) <= within for left, right in pairs)


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]
