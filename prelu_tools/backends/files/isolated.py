"""Run a reader in its own process, with limits.

HDF5 has no checksums, and its library may crash, hang or ask for gigabytes on a damaged file.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from prelu_tools.backends.files.answers import BadAnswerError, decoded, encoded
from prelu_tools.core.errors import PReLUToolsError, one_line
from prelu_tools.core.files.limits import allowed_memory

_CPU_SECONDS: Final = 3
_BYTES_A_SECOND: Final = 64 << 20
_WALL_SECONDS: Final = 300.0
_ANSWERED: Final = 0

# Python's own isolated mode: no current folder, no PYTHONPATH. What is after it on the path is
# where this process has the packages from, so that nothing there hides a module of Python's.
_START = (
    "import json, sys; places, *rest = sys.argv[1:]; "
    "sys.path += [one for one in json.loads(places) if one not in sys.path]; "
    "from prelu_tools.backends.files.isolated import main; main(*rest)"
)
_NEEDED = ("prelu_tools", "numpy", "ml_dtypes", "h5py", "safetensors", "torch")


@dataclass(frozen=True)
class Limits:
    """What a reader may take, by the size of its file."""

    cpu_seconds: int
    """Seconds of CPU time."""
    wall_seconds: float
    """Seconds of wall-clock time, for a process that only waits: on a busy machine, all do."""
    memory: int
    """Bytes in addition to the process's initial memory, if the system can limit that."""


def limits_for(size: int) -> Limits:
    """The limits for a file of this many bytes: 3 s, and one more for each 64 MB."""
    seconds = _CPU_SECONDS + size // _BYTES_A_SECOND
    return Limits(seconds, _WALL_SECONDS + 2 * seconds, allowed_memory(size))


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int | None
    """Its exit code, negative for a signal; None if it was stopped for the time it took."""
    written: bytes
    """What it wrote to standard output."""


Launch = Callable[[str, Path, Limits], Ended]


@cache
def places(reader: str) -> tuple[str, ...]:
    """The folders in which this process finds a reader, and what it imports.

    Args:
        reader: `module:function`.
    """
    found: dict[str, None] = {}
    for name in (*_NEEDED, reader.partition(":")[0].partition(".")[0]):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            depth = 1 if spec.submodule_search_locations else 0
            found[str(Path(spec.origin).resolve().parents[depth])] = None
    return tuple(found)


def in_new_process(reader: str, path: Path, limits: Limits) -> Ended:
    """Run `main` in a new interpreter."""
    given = (str(limits.cpu_seconds), str(limits.memory))
    beside = json.dumps(places(reader))
    command = [sys.executable, "-I", "-c", _START, beside, reader, str(path), *given]
    environment: Mapping[str, str] = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(limits.wall_seconds, stop)
        timer.start()
        try:
            written = child.stdout.read(limits.memory) if child.stdout else b""
        finally:
            timer.cancel()
            if len(written) >= limits.memory:
                child.kill()
        code = child.wait()
    return Ended(None if late.is_set() else code, written)


launch: Launch = in_new_process
"""How a reader's process is started."""


def run_isolated(reader: str, path: Path, kinds: tuple[type, ...] = ()) -> Any:
    """Call a reader on a file, in its own process.

    Args:
        reader: `module:function`; it takes a path, and returns what `answers.encoded` takes.
        path: the file.
        kinds: the dataclasses that its answer may hold.

    Raises:
        PReLUToolsError: the reader raised one, crashed, or took too much time or memory.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    limits = limits_for(size)
    ended = launch(reader, path, limits)
    if len(ended.written) >= limits.memory:
        raise PReLUToolsError(
            f"{path} is damaged: the process that read it returned an incomplete result"
        )
    if ended.code != _ANSWERED:
        raise PReLUToolsError(f"{path} is damaged: {_why(ended, limits)}")
    try:
        kind, value = decoded(ended.written, kinds)
    except (BadAnswerError, ValueError, TypeError) as error:
        raise PReLUToolsError(
            f"{path} is damaged: the process that read it did not answer"
        ) from error
    if kind == "error":
        raise PReLUToolsError(str(value))
    return value


def _why(ended: Ended, limits: Limits) -> str:
    if ended.code is None:
        return f"reading it took longer than {limits.wall_seconds:.0f} s"
    if ended.code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"reading it takes more than {limits.cpu_seconds} s of CPU time"
    if ended.code < 0:
        with contextlib.suppress(ValueError):
            return f"reading it ended with {signal.Signals(-ended.code).name}"
    return f"reading it ended with exit code {ended.code}"


def main(reader: str, path: str, cpu_seconds: str, memory: str) -> None:
    """The process' side: write `("value" or "error", ...)` to standard output."""
    module, _, function = reader.partition(":")
    call = getattr(importlib.import_module(module), function)
    with contextlib.suppress(ImportError):
        import h5py  # noqa: F401  (what it takes by itself is not the file's doing)
    _limit(int(cpu_seconds), int(memory))
    outcome: tuple[str, Any]
    try:
        outcome = "value", call(Path(path))
    except PReLUToolsError as error:
        outcome = "error", str(error)
    except MemoryError:
        outcome = "error", f"{path} is damaged: reading it takes more than {int(memory):,} bytes"
    except Exception as error:
        detail = one_line(error)
        outcome = "error", f"{path} is damaged ({type(error).__name__}: {detail})"
    sys.stdout.buffer.write(encoded(outcome))
    sys.stdout.buffer.flush()


def _limit(cpu_seconds: int, memory: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + memory, held + memory))
