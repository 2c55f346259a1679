"""Many models: their options, their progress, and the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prelu_tools.batch.plan import Plan
from prelu_tools.cli.options import request_options

if TYPE_CHECKING:
    from prelu_tools.batch.lists.jobs import JobList
    from prelu_tools.batch.run import Watch
    from prelu_tools.cli.output import Output
    from prelu_tools.core.results.batch import BatchEntry, BatchResult

_MODELS = (".onnx", ".keras", ".h5", ".pt2", ".pt", ".pth", ".safetensors", ".npz")


batch_options = request_options(Plan)
"""How many models are run."""


def are_many(sources: Sequence[str]) -> bool:
    """Whether sources stand for any number of models; for one file, nothing else is loaded."""
    if all(os.path.isfile(text) and text.endswith(_MODELS) for text in sources):  # noqa: PTH113
        return False
    from prelu_tools.batch.lists.pairs import are_many

    return are_many(sources)


def run_many(jobs: JobList, output: Output, plan: Plan) -> BatchResult:
    """Run all of them.

    Raises:
        StoppedError: it was stopped from outside; what is done is kept, and how to go on was said.
    """
    from prelu_tools.batch.run import StoppedError, run_batch
    from prelu_tools.cli.output import say, to_stderr

    if not output.quiet:
        for note in jobs.notes:
            say(f"Note: {note}")
    try:
        with _watching(output.quiet, output.details) as watch:
            return run_batch(jobs, plan, watch)
    except StoppedError as stopped:
        to_stderr("")
        say(str(stopped))
        raise


def show_many(jobs: JobList, output: Output, plan: Plan) -> int:
    """Run all of them, show the results, and return the exit code.

    Raises:
        StoppedError: as `run_many`.
    """
    result = run_many(jobs, output, plan)
    output.show(result)
    return result.exit_code


class _Blind:
    """Shows nothing."""

    def begin(self, total: int, known: int) -> None:
        pass

    def started(self, name: str) -> None:
        pass

    def finished(self, entry: BatchEntry) -> None:
        pass


class _Lines(_Blind):
    """A line for each model that is done, where frameworks write to the same terminal."""

    def __init__(self) -> None:
        self._total = self._count = 0

    def begin(self, total: int, known: int) -> None:
        self._total, self._count = total, known

    def finished(self, entry: BatchEntry) -> None:
        from prelu_tools.cli.output import say

        self._count += 1
        say(f"{self._count:,} of {self._total:,}: {entry.status}  {entry.name}")


@contextmanager
def _watching(quiet: bool, verbose: bool) -> Iterator[Watch]:
    """Output for a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield _Blind()
    elif verbose:
        yield _Lines()
    else:
        with _bar() as bar:
            yield bar


@contextmanager
def _bar() -> Iterator[Watch]:
    """How many are done, which one is at hand, how long the rest takes; problems as they come."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column
    from rich.text import Text

    from prelu_tools.reports.printable import printable

    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        console = Console(file=terminal)
        at_hand = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        progress = Progress(
            MofNCompleteColumn(),
            BarColumn(16),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False, table_column=at_hand),
            console=console,
            transient=True,
            expand=True,
        )

        class Bar(_Blind):
            def begin(self, total: int, known: int) -> None:
                progress.add_task("starting", total=total, completed=known)

            def started(self, name: str) -> None:
                for one in progress.task_ids:
                    progress.update(one, description=printable(name))

            def finished(self, entry: BatchEntry) -> None:
                if entry.status not in ("pass", "ok"):
                    line = printable(f"{entry.status}  {entry.name}: {'; '.join(entry.reasons)}")
                    progress.console.print(Text(line, overflow="ellipsis", no_wrap=True))
                for one in progress.task_ids:
                    progress.advance(one)

        with progress:
            yield Bar()
