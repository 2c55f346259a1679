"""The process that does jobs one after another, with frameworks loaded, and its owner's side.

Processes are started directly, not by `concurrent.futures`, loky or pebble: the first two fail all
other running jobs when one process dies, none of them watches memory, and a Dask worker may not
start `multiprocessing` children. Little is needed: a pipe, a deadline, a limit.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe

import psutil

from prelu_tools.batch.job import Done, Job
from prelu_tools.core.process.import_path import import_path
from prelu_tools.core.process.stopping import Stopped, stop_at_signals
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.batch import WorkerInfo

IDLE_SECONDS = 600.0
"""How long a worker waits for its next job before it ends by itself."""
START_SECONDS = 120.0
"""How long a worker may take until it can be spoken to."""
_LOOK = 0.1  # seconds between two looks at a worker that has a limit, or at its owner
_TIDYING = 10.0  # seconds that a worker without an owner may take to clean up
# `-P`, and the path of this process without the current folder: a file there is no module, unless
# the user names it (`backends/source_spec.py`).
_START = (
    "import json, sys; fd, path = sys.argv[1:]; sys.path[:] = json.loads(path); "
    "from prelu_tools.batch.worker import serve; serve(int(fd))"
)
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class Limits:
    """What a model may take."""

    seconds: float | None = None
    """Time, from when its worker has it; None for any."""
    memory: int | None = None
    """Resident bytes of its worker and the processes of that; None for any."""


NO_LIMITS = Limits()


class Worker:
    """A process that does one job at a time, started for the first one and after a fault."""

    def __init__(self, threads: int | None = None) -> None:
        """Start nothing yet.

        Args:
            threads: how many the frameworks may use, unless the environment says so; None for all.
        """
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._info: WorkerInfo | None = None
        self._folder: str | None = None  # for temporary files: gone with the process
        self._lock = threading.Lock()
        self._closed = False

    def run(self, job: Job, limits: Limits) -> Done:
        """Do a job there. A worker that dies, or goes beyond a limit, takes this job alone."""
        start = time.perf_counter()
        try:
            connection = self._ready()
            connection.send(job)
            done = self._wait(connection, limits)
        except (EOFError, OSError):
            error = self._exit_reason()
        except _LimitError as reached:
            self.stop()
            error = str(reached)
        else:
            return replace(done, worker=self._info, entry=replace(done.entry, worker=self._name))
        if job.output:
            from prelu_tools.graph.io.placement import discard_unfinished  # with onnx

            discard_unfinished(job.output)
        entry = replace(job.failed(error), worker=self._name, seconds=time.perf_counter() - start)
        return Done(entry, {}, self._info)

    @property
    def _name(self) -> str | None:
        return None if self._info is None else self._info.name

    def resident(self) -> int:
        """Bytes that it holds now, its own processes included; 0 if there is none."""
        return _resident(self._process)

    def stop(self) -> None:
        """End the process and all that it started; the next job starts another."""
        with self._lock:
            process, self._process = self._process, None
            connection, self._connection = self._connection, None
        if process is not None:
            _kill_group(process)
            process.wait()
        if connection is not None:
            with suppress(OSError):
                connection.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """End it for good, while it is at work too, from any thread; then `stop` clears away."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                _kill_group(self._process)

    def _ready(self) -> Connection:
        """The connection to a process that lives."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it ended between two jobs
        if self._connection is None:
            self._start()
        if self._connection is None:
            raise EOFError
        return self._connection

    def _start(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-P", "-c", _START, str(theirs.fileno())]
            with self._lock:
                if self._closed:
                    raise EOFError
                self._process = subprocess.Popen(
                    [*command, json.dumps(import_path())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=self._environment(),
                    start_new_session=True,  # Ctrl-C is for us alone
                )
                self._connection = ours
        if not ours.poll(START_SECONDS):
            raise EOFError
        self._info = ours.recv()

    def _environment(self) -> dict[str, str]:
        given = {} if self._threads is None else dict.fromkeys(_THREADS, str(self._threads))
        self._folder = tempfile.mkdtemp(prefix="prelu-tools-")
        return {"TF_CPP_MIN_LOG_LEVEL": "3", **given, **os.environ, "TMPDIR": self._folder}

    def _wait(self, connection: Connection, limits: Limits) -> Done:
        """The answer, as long as the worker keeps to its limits."""
        end = None if limits.seconds is None else time.monotonic() + limits.seconds
        while not connection.poll(None if limits == NO_LIMITS else _LOOK):
            if end is not None and time.monotonic() > end:
                raise _LimitError(f"it took more than {limits.seconds:g} s (--timeout)")
            if limits.memory is not None and self.resident() > limits.memory:
                raise _LimitError(
                    f"it took more than {limits.memory / 1e6:,.0f} MB of memory (--memory-limit)"
                )
        done: Done = connection.recv()
        return done

    def _exit_reason(self) -> str:
        """How the process ended, in words; cleans up after it."""
        process = self._process
        code = None
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(5)
        self.stop()
        if self._closed:
            return "its worker was stopped"
        if code is None:
            return f"its worker did not answer within {START_SECONDS:g} s of its start"
        if code >= 0:
            return f"its worker ended with exit code {code}: the model or its framework called exit"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        more = ": the system may have run out of memory" if name == "SIGKILL" else ""
        return f"its worker was killed by {name}{more}"


class _LimitError(Exception):
    """A model took more than it may."""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """A worker and what it started: its group is its own, see `start_new_session`."""
    if process.returncode is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def _resident(process: subprocess.Popen[bytes] | None) -> int:
    if process is None:
        return 0
    total = 0
    with suppress(psutil.Error):
        owner = psutil.Process(process.pid)
        for one in (owner, *owner.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def serve(descriptor: int) -> None:
    """The worker's side: identify itself, then answer each job with its outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_at_signals()
    connection = Connection(descriptor)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from prelu_tools.batch.performing import perform

    try:
        connection.send(describe())
        while connection.poll(IDLE_SECONDS):
            job: Job = connection.recv()
            if os.path.isdir(job.folder):  # noqa: PTH112  # of another machine it may be no path
                os.chdir(job.folder)
            connection.send(perform(job))
    except (EOFError, OSError):
        pass
    except Stopped:
        _end()
    os._exit(0)  # native libraries do not always survive a tidy end


def _end_with(parent: int) -> None:
    """A worker whose owner was killed has nobody to answer to.

    The next run may already be writing the same file, and could not remove it.
    """
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_TIDYING)
    _end()


def _end() -> None:
    """End this process and its children."""
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def describe() -> WorkerInfo:
    """This process and its properties."""
    from prelu_tools.backends.onnxruntime.running.session import available_providers

    try:
        _, providers = available_providers()
    except Exception:  # onnxruntime is missing or broken; `doctor` says how
        providers = ()
    host = socket.gethostname()
    return WorkerInfo(
        name=f"{host}:{os.getpid()}",
        host=host,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        versions=installed_versions(),
        providers=tuple(providers),
    )
