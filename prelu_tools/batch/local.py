"""Jobs on this machine: one thread per worker, which gives it one job after another."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence

from prelu_tools.batch.job import Done, Job
from prelu_tools.batch.memory import MemoryGate, likely_need
from prelu_tools.batch.worker import Limits, Worker

Started = Callable[[Job], Job]
"""Called with each job before it starts; returns the one to do."""


def run_here(
    jobs: Sequence[Job],
    n_workers: int,
    limits: Limits,
    started: Started,
    size_of: Callable[[Job], int],
    gate: MemoryGate | None = None,
) -> Generator[Done]:
    """Do jobs with a number of workers; yields each as it is done, in any order.

    A caller that stops early leaves no worker running.

    Args:
        jobs: what to do.
        n_workers: how many workers.
        limits: of each job.
        started: called with each job, in the thread of its worker.
        size_of: how many bytes the models of a job have.
        gate: who may start; None for one by this machine's memory.
    """
    crew = _Crew(jobs, limits, started, size_of, gate or MemoryGate())
    n_workers = min(n_workers, len(jobs))
    threads_each = None if n_workers < 2 else max(1, (os.cpu_count() or 1) // n_workers)
    workers = [Worker(threads_each) for _ in range(n_workers)]
    threads = [threading.Thread(target=crew.work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            yield crew.next()
    finally:
        crew.stop()
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.stop()


def run_inline(jobs: Sequence[Job], started: Started) -> Generator[Done]:
    """Do jobs in this process, one after another: one that crashes ends it."""
    from prelu_tools.batch.performing import perform

    for job in jobs:
        yield perform(started(job))


class _Crew:
    """What the threads share."""

    def __init__(
        self,
        jobs: Sequence[Job],
        limits: Limits,
        started: Started,
        size_of: Callable[[Job], int],
        gate: MemoryGate,
    ) -> None:
        self._left = deque(jobs)
        self._limits = limits
        self._started = started
        self._size_of = size_of
        self._gate = gate
        self._done: queue.SimpleQueue[Done | BaseException] = queue.SimpleQueue()

    def work(self, worker: Worker) -> None:
        """The body of a thread: one job after another, until there are none left."""
        try:
            while self._left:
                try:
                    job = self._left.popleft()
                except IndexError:  # another thread was faster
                    return
                self._one(worker, job)
        except BaseException as error:
            self._done.put(error)

    def _one(self, worker: Worker, job: Job) -> None:
        need = likely_need(job.command, self._size_of(job))
        if not self._gate.enter(worker, need, worker.resident, worker.stop):
            return
        try:
            done = worker.run(self._started(job), self._limits)
        finally:
            self._gate.leave(worker)
        self._done.put(done)

    def next(self) -> Done:
        """The next that is done."""
        found = self._done.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        """Start nothing any more."""
        self._left.clear()
        self._gate.shut()
