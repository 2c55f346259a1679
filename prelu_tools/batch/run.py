"""One run over many models: what is known is taken, the rest is done, each is kept as it comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prelu_tools.batch.cluster import run_on_cluster
from prelu_tools.batch.local import run_here
from prelu_tools.batch.results import ResultsFile, save_results
from prelu_tools.batch.sources import local_size
from prelu_tools.batch.task import Done, Task
from prelu_tools.batch.worker import NO_LIMITS, Limits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, WorkerInfo
from prelu_tools.core.stopping import Stopped, stopping
from prelu_tools.core.versions import installed_versions
from prelu_tools.graph.io.placement import discard_unfinished


@dataclass(frozen=True)
class Plan:
    """How to run."""

    jobs: int = 1
    """How many processes of this machine."""
    limits: Limits = NO_LIMITS
    """What each model may take."""
    results: Path | None = None
    """The file to which each result is appended; None for none."""
    resume: bool = False
    """Whether results that are there count."""
    dask: str | None = None
    """The address of a Dask scheduler, or `local`; None for processes of this machine."""


class Watch(Protocol):
    """Is told how it goes."""

    def begin(self, total: int, known: int) -> None:
        """So many models, and of so many the result is known."""

    def started(self, name: str) -> None:
        """A model is at hand; from any thread."""

    def finished(self, entry: BatchEntry) -> None:
        """A model is done."""


class StoppedError(Stopped):
    """The run was stopped from outside; the text says what is kept, and how to go on."""


def run_batch(command: Command, tasks: Sequence[Task], plan: Plan, watch: Watch) -> BatchResult:
    """Do every task, whatever becomes of the others.

    Raises:
        StoppedError: Ctrl-C, SIGTERM or SIGHUP came; what was done until then is kept in a file.
        UsageError: the file of results cannot be used.
        PReLUToolsError: it cannot be written, or the cluster does not answer.
    """
    done: dict[str, Done] = {}
    with ExitStack() as stack:
        file = None
        if plan.results is not None:
            file = stack.enter_context(ResultsFile(plan.results, plan.resume))
            done = {t.name: known for t in tasks if (known := file.result_of(t)) is not None}
        watch.begin(len(tasks), len(done))
        left = {task.name: task for task in tasks if task.name not in done}
        try:
            with (
                _terminable(),
                closing(_running([*left.values()], plan, _starter(file, watch))) as running,
            ):
                for one in running:
                    task = left[one.entry.name]
                    if file is not None:
                        file.add(task, one)
                    done[task.name] = one
                    watch.finished(one.entry)
        except (KeyboardInterrupt, Stopped) as error:
            number = error.number if isinstance(error, Stopped) else signal.SIGINT
            raise StoppedError(number, _how_to_go_on(command, tasks, done, plan)) from error
    ordered = [done[task.name] for task in tasks]
    return BatchResult(command, tuple(one.entry for one in ordered), *_workers(ordered))


def _running(tasks: Sequence[Task], plan: Plan, started: Callable[[Task], Task]) -> Generator[Done]:
    if not tasks:
        return run_here([], 1, plan.limits, started, lambda task: 0)
    if plan.dask is not None:
        return run_on_cluster(tasks, plan.dask, plan.jobs, plan.limits, started)
    return run_here(tasks, plan.jobs, plan.limits, started, lambda task: local_size(task.sources))


def _starter(file: ResultsFile | None, watch: Watch) -> Callable[[Task], Task]:
    """What a task is, once it starts: a file that a killed run of ours left may be replaced."""
    lock = threading.Lock()

    def started(task: Task) -> Task:
        watch.started(task.name)
        if file is None or task.output is None:
            return task
        with lock:
            if file.was_begun(task):
                discard_unfinished(task.output)
                return task.forced()
            if not task.output.exists():
                file.begin(task)
        return task

    return started


def _workers(done: Sequence[Done]) -> tuple[tuple[WorkerInfo, ...], tuple[str, ...]]:
    """Everyone who did something, and in what they differ from this process."""
    workers = {one.worker.name: one.worker for one in done if one.worker is not None}
    here, notes = installed_versions(), []
    kinds: dict[str, list[str]] = {}
    for worker in workers.values():
        names = sorted({*here, *worker.versions})
        other = [
            f"{name} {worker.versions.get(name, 'missing')} (here {here.get(name, 'missing')})"
            for name in names
            if worker.versions.get(name) != here.get(name)
        ]
        if other:
            kinds.setdefault(", ".join(other), []).append(worker.name)
    for difference, names in kinds.items():
        rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
        notes.append(f"worker {names[0]}{rest} has other versions: {difference}")
    return tuple(workers.values()), tuple(notes)


def _how_to_go_on(
    command: Command, tasks: Sequence[Task], done: dict[str, Done], plan: Plan
) -> str:
    count = f"{len(done):,} of {len(tasks):,} models are done"
    if plan.results is not None:
        return f"{count} and kept in {plan.results}: run the same command with --resume to continue"
    if not done:
        return f"{count}; with --results FILE they are kept, and --resume continues from there"
    by_name = {task.name: task for task in tasks}
    try:
        path = save_results(Path(), command, [(by_name[name], one) for name, one in done.items()])
    except PReLUToolsError as error:
        return f"{count}, and could not be kept: {error}"
    return (
        f"{count} and kept in {path}: run the same command with --results {path} --resume to "
        "continue"
    )


def _terminable() -> AbstractContextManager[None]:
    is_main = threading.current_thread() is threading.main_thread()
    return stopping() if is_main else nullcontext()
