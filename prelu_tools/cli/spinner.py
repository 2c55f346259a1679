"""What a terminal shows while a command runs: the stage, the progress, the time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prelu_tools.core.process.progress import ProgressCallback, listening
from prelu_tools.reports.printable import printable


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

            class Line:
                """The one line."""

                stage = "starting"

                def show(self, text: str, total: int | None) -> None:
                    for task in shown.task_ids:
                        shown.remove_task(task)
                    shown.add_task(f"{printable(text)} ...", total=total or None)

                def tell(self, stage: str) -> None:
                    self.stage = stage
                    self.show(stage, None)

                def begin(self, part: str, total: int) -> None:
                    self.show(part, total)

                def step(self) -> None:
                    for task in shown.task_ids:
                        shown.advance(task)

                def end(self) -> None:
                    self.show(self.stage, None)

            line = Line()
            with listening(line):
                yield line.tell
