"""One run over many models: reuse known results, run the rest, and store each when it is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from prelu_tools.batch.cluster import run_on_cluster
from prelu_tools.batch.job import Done, Job
from prelu_tools.batch.lists.jobs import JobList
from prelu_tools.batch.lists.models import local_size
from prelu_tools.batch.local import run_here, run_inline
from prelu_tools.batch.plan import Plan
from prelu_tools.batch.results import ResultsFile, save_results
from prelu_tools.batch.worker import Limits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.stopping import Stopped, stopping
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.batch import BatchEntry, BatchResult, Command, WorkerInfo


class Watch(Protocol):
    """Called with the progress."""

    def begin(self, total: int, known: int) -> None:
        """The number of models, and of known results."""

    def started(self, name: str) -> None:
        """A model is at hand; from any thread."""

    def finished(self, entry: BatchEntry) -> None:
        """A model is done."""


class StoppedError(Stopped):
    """The run was stopped from outside; the text says what is kept, and how to continue."""


def run_batch(listed: JobList, plan: Plan, watch: Watch) -> BatchResult:
    """Do every job, even if others fail.

    Raises:
        StoppedError: Ctrl-C, SIGTERM or SIGHUP came; what was done until then is kept in a file.
        UsageError: the file of results cannot be used.
        PReLUToolsError: it cannot be written, or the cluster does not answer.
    """
    jobs = listed.jobs
    done: dict[str, Done] = {}
    with ExitStack() as stack:
        file = None
        if plan.results is not None:
            file = stack.enter_context(ResultsFile(plan.results, plan.resume))
            done = {t.name: known for t in jobs if (known := file.result_of(t)) is not None}
        watch.begin(len(jobs), len(done))
        left = {job.name: job for job in jobs if job.name not in done}
        try:
            with (
                _terminable(),
                closing(_running([*left.values()], plan, _starter(file, watch))) as running,
            ):
                for one in running:
                    job = left[one.entry.name]
                    if file is not None:
                        file.add(job, one)
                    done[job.name] = one
                    watch.finished(one.entry)
        except (KeyboardInterrupt, Stopped) as error:
            number = error.number if isinstance(error, Stopped) else signal.SIGINT
            said = _how_to_go_on(listed.command, jobs, done, plan)
            raise StoppedError(number, said) from error
    ordered = [done[job.name] for job in jobs]
    entries = [
        replace(one.entry, file=job.file, line=job.line)  # a known file may have been moved since
        for one, job in zip(ordered, jobs, strict=True)
    ]
    return BatchResult(listed.command, tuple(entries), listed.path, *_workers(ordered))


def _running(jobs: Sequence[Job], plan: Plan, started: Callable[[Job], Job]) -> Generator[Done]:
    limits = Limits(plan.timeout, plan.memory_limit)
    if not jobs:
        return run_here([], 1, limits, started, lambda job: 0)
    if plan.dask is not None:
        return run_on_cluster(jobs, plan.dask, plan.n_workers, limits, started)
    if plan.n_workers == 0:
        return run_inline(jobs, started)
    if not hasattr(os, "killpg"):
        raise PReLUToolsError(
            "worker processes need Linux or macOS: here, run one model at a time, or use --dask "
            "with a cluster"
        )
    return run_here(jobs, plan.n_workers, limits, started, lambda job: local_size(job.sources))


def _starter(file: ResultsFile | None, watch: Watch) -> Callable[[Job], Job]:
    """A job as it starts: it may replace a file that a killed run of ours left."""
    lock = threading.Lock()

    def started(job: Job) -> Job:
        watch.started(job.name)
        if file is None or job.output is None:
            return job
        with lock:
            if file.was_begun(job):
                from prelu_tools.graph.io.placement import discard_unfinished  # with onnx

                discard_unfinished(job.output)
                return job.forced()
            if not job.output.exists():
                file.begin(job)
        return job

    return started


def _workers(done: Sequence[Done]) -> tuple[tuple[WorkerInfo, ...], tuple[str, ...]]:
    """All workers, and how they differ from this process."""
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
        rest = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        notes.append(f"worker {names[0]}{rest} has different versions: {difference}")
    return tuple(workers.values()), tuple(notes)


def _how_to_go_on(command: Command, jobs: Sequence[Job], done: dict[str, Done], plan: Plan) -> str:
    count = f"{len(done):,} of {len(jobs):,} models are done"
    if plan.results is not None:
        return f"{count} and kept in {plan.results}: run the same command with --resume to continue"
    if not done:
        return f"{count}; with --results FILE they are kept, and --resume continues from there"
    by_name = {job.name: job for job in jobs}
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
