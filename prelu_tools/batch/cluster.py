"""The same jobs on a Dask cluster; its scheduler reassigns the jobs of a lost worker.

A Dask worker does not run a model itself: each of its threads owns a process, as a thread of
`batch/local.py` does. So a model that crashes or takes too much is a single error there too, and
frameworks are never called from two threads at once.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prelu_tools.batch.job import Done, Job
from prelu_tools.batch.lists.models import local_size
from prelu_tools.batch.local import Started
from prelu_tools.batch.memory import MemoryGate, likely_need
from prelu_tools.batch.worker import Limits, Worker
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""In place of an address: a cluster of this machine, for this run."""
CONNECT_SECONDS = 15.0
"""How long to wait for a scheduler, and then for its first worker."""
_AHEAD = 4  # jobs per thread that are submitted at a time, instead of all 100,000

_workers: dict[tuple[str, int], Worker] = {}
_gate = MemoryGate()


def run_job(job: Job, limits: Limits, run: str) -> Done:
    """On a Dask worker: do a job in the process of this thread."""
    from distributed import get_worker

    mine = _workers.setdefault((run, threading.get_ident()), Worker())
    need = likely_need(job.command, local_size(job.sources))
    _gate.enter(mine, need, mine.resident, mine.stop)
    try:
        done = mine.run(job, limits)
    finally:
        _gate.leave(mine)
    if done.worker is None:
        return done
    name = f"{get_worker().address} ({done.worker.name})"
    return replace(
        done, worker=replace(done.worker, name=name), entry=replace(done.entry, worker=name)
    )


def release(run: str) -> None:
    """On a Dask worker: end the processes of a run, at work or not."""
    for key in [key for key in _workers if key[0] == run]:
        worker = _workers.pop(key)
        worker.kill()
        worker.stop()


def run_on_cluster(
    jobs: Sequence[Job], address: str, n_workers: int, limits: Limits, started: Started
) -> Generator[Done]:
    """Do jobs on a cluster; yields each as it is done, in any order, exactly once.

    Args:
        jobs: what to do.
        address: of the scheduler, or `LOCAL`.
        n_workers: how many workers a local cluster has.
        limits: of each job.
        started: called with each job as it is handed to the scheduler.

    Raises:
        MissingExtraError: Dask is not installed.
        PReLUToolsError: no scheduler answers there, or it has no workers.
    """
    run = f"prelu-{uuid.uuid4().hex[:12]}"
    with _connected(address, n_workers) as client:
        try:
            yield from _gathered(client, jobs, limits, started, run)
        finally:
            with suppress(Exception):  # of workers that are gone already
                client.run(release, run, on_error="ignore")


@contextmanager
def _connected(address: str, n_workers: int) -> Iterator[Client]:
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise MissingExtraError("distributed", "dask", "for --dask") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are reported here
    if address == LOCAL:
        quiet: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
        with (
            _safe_path(),
            LocalCluster(n_workers=n_workers, threads_per_worker=1, **quiet) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except Exception as error:  # any transport may raise
        raise PReLUToolsError(
            f"no Dask scheduler answers at {address}: {error}. Start one with: dask scheduler"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise PReLUToolsError(
                f"the scheduler at {address} has no workers: start some with: dask worker {address}"
            ) from error
        yield client


@contextmanager
def _safe_path() -> Iterator[None]:
    """Within the block, no Python that is started looks for modules in the current folder."""
    name = "PYTHONSAFEPATH"
    given = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if given is not None:
            os.environ[name] = given


def _gathered(
    client: Client, jobs: Sequence[Job], limits: Limits, started: Started, run: str
) -> Iterator[Done]:
    """Hand out jobs as others come back."""
    from distributed import as_completed

    left = iter(enumerate(jobs))
    waiting: dict[str, Job] = {}

    def hand_out(number: int) -> Iterator[Any]:
        for _ in range(number):
            index, job = next(left, (0, None))
            if job is None:
                return
            key = f"{run}-{index}"
            waiting[key] = job
            yield client.submit(run_job, started(job), limits, run, key=key, pure=False)

    threads = sum(client.nthreads().values())
    coming = as_completed(hand_out(_AHEAD * max(threads, 1)))
    for future in coming:
        job = waiting.pop(future.key)
        yield _result(future, job)
        future.release()
        coming.update(hand_out(1))


def _result(future: Any, job: Job) -> Done:
    try:
        done: Done = future.result()
    except Exception as error:  # of Dask: what a job itself raises is in its result
        kind = type(error).__name__
        said = str(error) or kind
        if kind == "KilledWorker":
            said = f"every Dask worker that ran it was lost ({said.splitlines()[0]})"
        elif isinstance(error, ImportError):
            said = (
                f"a Dask worker is missing something: {said}; it needs the same version "
                "of prelu-tools as this machine"
            )
        else:
            said = f"running it on Dask failed with {kind}: {said}"
        return Done(job.failed(said), {})
    return done
