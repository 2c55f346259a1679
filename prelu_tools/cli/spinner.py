"""What a terminal shows while a command runs: the stage, the progress, the time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prelu_tools.core.process.progress import ProgressCallback, listening
from prelu_tools.reports.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def spinner() -> Iterator[ProgressCallback]:
    """A callback for the name of each stage: a line that is redrawn, and leaves no trace.

    It has its own descriptor: while a framework runs, standard error is redirected
    (`backends/quiet.py`).
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Far(TextColumn):
        """`3 of 16, about 0:12 left`; nothing if that is not known."""

        def render(self, task: Task) -> Text:
            if not task.total:
                return Text("")
            text = f"{task.completed:,.0f} of {task.total:,.0f}"
            left = task.time_remaining
            if left is not None and left >= 1:
                text += f", about {int(left) // 60}:{int(left) % 60:02} left"
            return Text(text)

    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            Far(""),
        )
        with Progress(*columns, console=Console(file=terminal), transient=True) as shown:
            line = _Line(shown)
            with listening(line):
                yield line.tell


class _Line:
    """The one line, which shows the stage and what of it is done."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._stage = "starting"

    def _show(self, text: str, total: int | None) -> None:
        for task in self._shown.task_ids:
            self._shown.remove_task(task)
        self._shown.add_task(f"{printable(text)} ...", total=total or None)

    def tell(self, stage: str) -> None:
        """Take the name of a stage."""
        self._stage = stage
        self._show(stage, None)

    def begin(self, part: str, total: int) -> None:
        """Take a part that is counted."""
        self._show(part, total)

    def step(self) -> None:
        """Count one."""
        for task in self._shown.task_ids:
            self._shown.advance(task)

    def end(self) -> None:
        """Show the stage alone again."""
        self._show(self._stage, None)
