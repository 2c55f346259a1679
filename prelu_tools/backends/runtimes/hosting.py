"""A runtime in its own process: a model that crashes it gets no verdict, and nothing else is lost.

The module of a runtime has `load(**arguments)`, which returns an object with `run(arrays) ->
arrays`; whatever they raise becomes an error message. One process serves all models of a runtime;
the answers are numbers and texts, never pickles.
"""

from __future__ import annotations

import atexit
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import IO, Any, Final, Protocol

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.process.import_path import import_path

_SECONDS: Final = 600.0  # seconds per request
_ENDING: Final = 5.0  # seconds in which a process that gives no answer may end
_LONGEST: Final = 64 << 20  # bytes of a message's head
_MOST: Final = 16 << 30  # bytes of its arrays
_KINDS: Final = "biuf"
_WORDS: Final = 300  # characters of an error message
_START: Final = (
    "import json, sys; module, path = sys.argv[1:]; sys.path[:] = json.loads(path); "
    "from prelu_tools.backends.runtimes.hosting import serve; serve(module)"
)


class Engine(Protocol):
    """A model that a runtime has loaded."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Its results.

        Raises:
            Exception: the runtime rejects the inputs.
        """
        ...


class Host:
    """The process of one runtime; it is started when it is needed, and again if it has crashed."""

    def __init__(self, name: str, module: str) -> None:
        """Begin without a process.

        Args:
            name: the runtime's name, for messages.
            module: the module that has `load`.
        """
        self.name = name
        self._module = module
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._started = 0
        self._dropped: list[int] = []

    def load(self, arguments: Mapping[str, Any], label: str, keeps: object = None) -> Hosted:
        """Load a model.

        Args:
            arguments: what `load` of the module takes, as in JSON.
            label: the model's name, for messages.
            keeps: what has to be there for as long as the model is: the folder of its file.

        Raises:
            PReLUToolsError: the runtime refuses the model, or crashes.
        """
        return Hosted(self, arguments, label, keeps)

    def exchange(
        self, generation: int, head: Mapping[str, Any], arrays: Sequence[Array], label: str
    ) -> tuple[int, Mapping[str, Any], list[Array]]:
        """Send a message, and wait for its answer.

        Args:
            generation: of the process that it is meant for; 0 for any.
            head: the request.
            arrays: its arrays.
            label: the model's name, for messages.

        Returns:
            The number of the process that answers, 0 if it is not the one that was meant; its
            answer.

        Raises:
            PReLUToolsError: the answer is an error, or the process ends or takes too long.
        """
        with self._lock:
            process = self._running()
            if generation not in (0, self._started):
                return 0, {}, []
            dropped, self._dropped = self._dropped, []
            late = threading.Event()

            def give_up() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(_SECONDS, give_up)
            timer.start()
            try:
                _send(_pipe(process.stdin), {**head, "dropped": dropped}, arrays)
                answer, found = _receive(_pipe(process.stdout))
            except (OSError, EOFError, ValueError) as error:
                raise PReLUToolsError(self._ended(label, late.is_set())) from error
            finally:
                timer.cancel()
        if "error" in answer:
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            failed = f"fails on {label} with inputs {shapes}"
            does = f"cannot load {label}" if "load" in head else failed
            raise PReLUToolsError(f"{self.name} {does}: {answer['error']}")
        return self._started, answer, found

    def drop(self, generation: int, number: int) -> None:
        """A model is no longer needed; the process learns that with the next message."""
        if generation == self._started:
            self._dropped.append(number)

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    _pipe(pipe).close()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and self._owner == os.getpid() and process.poll() is None:
            return process
        self.stop()
        command = [sys.executable, "-I", "-c", _START, self._module, json.dumps(import_path())]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._process, self._owner, self._dropped = process, os.getpid(), []
        self._started += 1
        return process

    def _ended(self, label: str, is_late: bool) -> str:
        process = self._process
        if is_late or process is None:
            self.stop()
            return f"{self.name} takes longer than {_SECONDS:.0f} s on {label}"
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)
        code = process.poll()
        self.stop()
        if code is None:
            return f"{self.name}'s answer on {label} cannot be read"
        names = {one.value: one.name for one in signal.Signals}
        how = names.get(-code, f"signal {-code}") if code < 0 else f"exit code {code}"
        return f"{self.name} crashes on {label} ({how})"


class Hosted:
    """A model that the process has loaded, and loads again where it had to be started again."""

    def __init__(self, host: Host, arguments: Mapping[str, Any], label: str, keeps: object) -> None:
        """Load it; see `Host.load`."""
        self._keeps = keeps
        self._host, self._arguments, self._label = host, arguments, label
        self._load()

    def _load(self) -> None:
        generation, answer, _ = self._host.exchange(0, {"load": self._arguments}, [], self._label)
        self._generation, self._number = generation, int(answer["number"])
        weakref.finalize(self, self._host.drop, generation, self._number)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Engine.run`."""
        head = {"run": self._number}
        meant, _, found = self._host.exchange(self._generation, head, inputs, self._label)
        if not meant:
            self._load()
            return self.run(inputs)
        return found


@cache
def host_of(name: str, module: str) -> Host:
    """The process of a runtime, one for all of its models; see `Host`."""
    host = Host(name, module)
    atexit.register(host.stop)
    return host


def serve(module: str) -> None:
    """The process' side: answer until there are no more requests."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of the runtime is not an answer
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    models: dict[int, Engine] = {}
    count = 0
    while True:
        try:
            head, arrays = _receive(sys.stdin.buffer)
        except EOFError:
            return
        for number in head["dropped"]:
            models.pop(number, None)
        found: list[Array] = []
        answer: dict[str, Any] = {}
        try:
            if "load" in head:
                count += 1
                models[count] = importlib.import_module(module).load(**head["load"])
                answer = {"number": count}
            else:
                found = models[head["run"]].run(arrays)
        except Exception as error:
            answer = {"error": _said(error)}
        _send(answers, answer, found)


def _said(error: Exception) -> str:
    """What an exception of a runtime says, without the places in its sources."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    text = next(iter(told or lines), "")[:_WORDS].removesuffix(".")
    is_usual = isinstance(error, (RuntimeError, ValueError, TypeError, PReLUToolsError)) and text
    return text if is_usual else f"{type(error).__name__}: {text}"


def _send(stream: IO[bytes], head: Mapping[str, Any], arrays: Sequence[Array]) -> None:
    kinds = [[array.dtype.str, list(array.shape)] for array in arrays]
    stream.write(json.dumps({**head, "arrays": kinds}).encode() + b"\n")
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[Mapping[str, Any], list[Array]]:
    line = stream.readline(_LONGEST)
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    if not isinstance(head, dict):
        raise ValueError("not a message")
    return head, [_array(stream, *kind) for kind in head["arrays"]]


def _array(stream: IO[bytes], kind: str, shape: Sequence[int]) -> Array:
    dtype = np.dtype(kind)
    if dtype.kind not in _KINDS or any(not isinstance(size, int) or size < 0 for size in shape):
        raise ValueError(f"an array of type {kind} and shape {shape}")
    length = math.prod(shape) * dtype.itemsize
    if length > _MOST:
        raise ValueError(f"an array of {length:,} bytes")
    raw = stream.read(length)
    if len(raw) != length:
        raise EOFError
    return np.frombuffer(bytearray(raw), dtype).reshape(shape)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EOFError
    return stream
