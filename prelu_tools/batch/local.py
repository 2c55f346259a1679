"""Tasks on this machine: a thread for each worker, which hands it one task after another."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence

from prelu_tools.batch.memory import MemoryGate, likely_need
from prelu_tools.batch.task import Done, Task
from prelu_tools.batch.worker import Limits, Worker

Started = Callable[[Task], Task]
"""Is told each task before it starts, and gives the one that is to be done."""


def run_here(
    tasks: Sequence[Task],
    jobs: int,
    limits: Limits,
    started: Started,
    size_of: Callable[[Task], int],
    gate: MemoryGate | None = None,
) -> Generator[Done]:
    """Do tasks with so many workers at once; each is given out as it is done, in no order.

    Whoever stops early leaves no worker behind.

    Args:
        tasks: what to do.
        jobs: how many workers.
        limits: of each task.
        started: told of each task, in the thread of its worker.
        size_of: how many bytes the models of a task have.
        gate: who may start; None for one by this machine's memory.
    """
    crew = _Crew(tasks, limits, started, size_of, gate or MemoryGate())
    n_workers = min(jobs, len(tasks))
    threads_each = None if n_workers < 2 else max(1, (os.cpu_count() or 1) // n_workers)
    workers = [Worker(threads_each) for _ in range(n_workers)]
    threads = [threading.Thread(target=crew.work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            yield crew.next()
    finally:
        crew.stop()
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.stop()


class _Crew:
    """What the threads share."""

    def __init__(
        self,
        tasks: Sequence[Task],
        limits: Limits,
        started: Started,
        size_of: Callable[[Task], int],
        gate: MemoryGate,
    ) -> None:
        self._left = deque(tasks)
        self._limits = limits
        self._started = started
        self._size_of = size_of
        self._gate = gate
        self._done: queue.SimpleQueue[Done | BaseException] = queue.SimpleQueue()

    def work(self, worker: Worker) -> None:
        """Of a thread: one task after another, until there is none."""
        try:
            while self._left:
                try:
                    task = self._left.popleft()
                except IndexError:  # another thread was faster
                    return
                self._one(worker, task)
        except BaseException as error:
            self._done.put(error)

    def _one(self, worker: Worker, task: Task) -> None:
        need = likely_need(task.command, self._size_of(task))
        if not self._gate.enter(worker, need, worker.resident, worker.stop):
            return
        try:
            done = worker.run(self._started(task), self._limits)
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
