"""Many models: the options that go with them, what shows while they are at work, the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prelu_tools.batch.lists.jobs import JobList
    from prelu_tools.batch.run import Watch
    from prelu_tools.cli.output import Output
    from prelu_tools.core.results.batch import BatchEntry, BatchResult

Function = TypeVar("Function", bound=Callable[..., Any])
NAMES = ("jobs", "results", "resume", "timeout", "memory_limit", "dask")
"""The parameters of `batch_options`."""
_MODELS = (".onnx", ".keras", ".h5", ".pt2", ".pt", ".pth", ".safetensors", ".npz")


def _parse_memory(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """2GB, 500MB or a number of bytes."""
    if value is None:
        return None
    from prelu_tools.batch.memory import parse_size

    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not an amount of memory: expected one such as 500MB, 2GB or 1.5GiB"
        ) from error


def batch_options(function: Function) -> Function:
    """How many models are run."""
    for option in (
        click.option(
            "--dask",
            metavar="ADDRESS|local",
            help="Many models: on the Dask cluster of this scheduler, tcp://host:8786, or on one "
            "of this machine (needs prelu-tools[dask]).",
        ),
        click.option(
            "--memory-limit",
            callback=_parse_memory,
            metavar="SIZE",
            help="Many models: memory limit for each, such as 2GB; exceeding it gives no verdict.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Many models: time limit for each; exceeding it gives no verdict.",
        ),
        click.option(
            "--resume",
            is_flag=True,
            help="Continue from --results: run only models that are missing or have changed.",
        ),
        click.option(
            "--results",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE.jsonl",
            help="Many models: append each result to this file.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=0),
            metavar="N",
            help="Many models: number of worker processes, 0 for none.  [default: 1]",
        ),
    ):
        function = option(function)
    return function


def are_models(sources: Sequence[str]) -> bool:
    """Whether each is the file of one model: told without loading what knows better."""
    return all(os.path.isfile(text) and text.endswith(_MODELS) for text in sources)  # noqa: PTH113


def asks_for_batch(choices: dict[str, Any]) -> bool:
    """Whether an option was given that makes even one model a batch."""
    return any(choices[name] not in (None, False) for name in NAMES)


def run_many(jobs: JobList, output: Output, verbose: bool, choices: dict[str, Any]) -> BatchResult:
    """Run all of them.

    Raises:
        StoppedError: it was stopped from outside; what is done is kept, and how to go on was said.
    """
    from prelu_tools.batch.run import Plan, StoppedError, run_batch
    from prelu_tools.batch.worker import NO_LIMITS, Limits
    from prelu_tools.cli.output import say, to_stderr

    if choices["resume"] and choices["results"] is None:
        raise click.UsageError("--resume continues from the results in a file: give --results FILE")
    dask = choices["dask"]
    if dask not in (None, "local") and choices["jobs"] is not None:
        raise click.UsageError(
            "--jobs is for processes of this machine: a Dask cluster has its own workers"
        )
    limits = Limits(choices["timeout"], choices["memory_limit"])
    if choices["jobs"] == 0 and limits != NO_LIMITS:
        raise click.UsageError(
            "--timeout and --memory-limit end a worker process: give --jobs 1 or more"
        )
    plan = Plan(
        n_workers=1 if choices["jobs"] is None else choices["jobs"],
        limits=limits,
        results=choices["results"],
        resume=choices["resume"],
        dask=dask,
    )
    if not output.quiet:
        for note in jobs.notes:
            say(f"Note: {note}")
    try:
        with _watching(output.quiet, verbose) as watch:
            return run_batch(jobs, plan, watch)
    except StoppedError as stopped:
        to_stderr("")
        say(str(stopped))
        raise


def show_many(jobs: JobList, output: Output, verbose: bool, choices: dict[str, Any]) -> int:
    """Run all of them, show the results, and return the exit code.

    Raises:
        StoppedError: as `run_many`.
    """
    result = run_many(jobs, output, verbose, choices)
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
    """What shows on a terminal, and nowhere else."""
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
