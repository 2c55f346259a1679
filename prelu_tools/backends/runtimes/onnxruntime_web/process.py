"""Node with onnxruntime-web, in a process that answers one request after another.

Models and tensors go through pipes, never through a command line or a file. `driver.mjs` is the
other end.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from prelu_tools.backends.runtimes.converting import last_words
from prelu_tools.backends.runtimes.onnxruntime_web.installed import Installed, clean_environment
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

_DRIVER: Final = Path(__file__).with_name("driver.mjs")
_SECONDS: Final = 600.0  # seconds for one answer
_HEAP: Final = 4096  # MB of JavaScript objects; WebAssembly itself addresses at most 4 GB
_LARGEST_MODEL: Final = 2_000_000_000  # bytes: the limit of a protobuf message
_LARGEST_HEADER: Final = 64 << 20
_MESSAGE: Final = "ERROR_MESSAGE: "


class NodeProcess:
    """It is started by the first request, and again by the next one after it has failed."""

    def __init__(self, found: Installed, seconds: float = _SECONDS) -> None:
        """Start nothing yet.

        Args:
            found: what to run.
            seconds: how long one answer may take.
        """
        self._found = found
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (it has no name, and ends with this)
        self._is_late = False

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    @contextmanager
    def session(self, model: bytes, label: str) -> Iterator[Session]:
        """A model, loaded within the block.

        Args:
            model: an ONNX file's bytes, with all weights.
            label: its name, for messages.

        Raises:
            PReLUToolsError: onnxruntime-web does not load it.
        """
        if len(model) > _LARGEST_MODEL:
            raise PReLUToolsError(
                f"{label} has {len(model):,} bytes: onnxruntime-web takes {_LARGEST_MODEL:,}"
            )
        header, _ = self._ask({"kind": "load"}, [model], f"cannot load {label}")
        process = self._process
        try:
            yield Session(self, header["session"], label)
        finally:
            if self._process is process and process is not None:
                with suppress(PReLUToolsError):
                    self._ask({"kind": "release", "session": header["session"]}, [], "")

    def run(
        self, session: int, feeds: Mapping[str, Array], names: Sequence[str], label: str
    ) -> dict[str, Array]:
        """See `Session.run`."""
        held = [np.asarray(values) for values in feeds.values()]
        inputs = [
            {"name": name, "dtype": values.dtype.name, "shape": list(values.shape)}
            for name, values in zip(feeds, held, strict=True)
        ]
        shapes = ", ".join(f"{name}{list(values.shape)}" for name, values in feeds.items())
        request = {"kind": "run", "session": session, "inputs": inputs, "outputs": list(names)}
        parts = [values.tobytes() for values in held]
        header, found = self._ask(request, parts, f"fails on {label} with inputs {shapes}")
        kinds = header["outputs"]
        return {
            name: np.frombuffer(part, kind["dtype"]).reshape(kind["shape"]).copy()
            for name, kind, part in zip(names, kinds, found, strict=True)
        }

    def _ask(
        self, header: dict[str, Any], parts: Sequence[bytes], does: str
    ) -> tuple[dict[str, Any], list[bytes]]:
        """An answer, and the bytes after it.

        Raises:
            PReLUToolsError: it answers with an error, not in time, or not at all.
        """
        process = self._process = self._process or self._started()
        self._is_late = False
        timer = threading.Timer(self._seconds, self._stop, [process])
        timer.start()
        try:
            _write(process, header, parts)
            answer, found = _read(process)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            process.kill()
            code = process.wait()
            self.close()
            if self._is_late:
                raise PReLUToolsError(
                    f"onnxruntime-web {does}: no answer within {self._seconds:g} s"
                ) from error
            raise PReLUToolsError(
                f"onnxruntime-web {does}: node ended ({_ending(code)}): {self._last_words()}"
            ) from error
        finally:
            timer.cancel()
        if "error" in answer:
            said = " ".join(str(answer["error"]).rpartition(_MESSAGE)[2].split())[:300]
            raise PReLUToolsError(f"onnxruntime-web {self._found.version} {does}: {said}")
        return answer, found

    def _started(self) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [
            self._found.node,
            f"--max-old-space-size={_HEAP}",
            _DRIVER,
            self._found.package,
        ]
        self._said.seek(0)
        self._said.truncate()
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
                cwd=_DRIVER.parent, env=clean_environment(),
            )  # fmt: skip
        except OSError as error:
            raise PReLUToolsError(f"{self._found.node} cannot be run: {error.strerror}") from error

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        self._is_late = True
        process.kill()

    def _last_words(self) -> str:
        self._said.seek(0)
        return last_words(self._said.read(1 << 20).decode(errors="replace"))


class Session:
    """A model that node has loaded."""

    def __init__(self, process: NodeProcess, number: int, label: str) -> None:
        """Take one that is loaded."""
        self._process = process
        self._number = number
        self._label = label

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """Some of its outputs.

        Raises:
            PReLUToolsError: it rejects the inputs, or node ends.
        """
        return self._process.run(self._number, feeds, names, self._label)


def _write(
    process: subprocess.Popen[bytes], header: Mapping[str, Any], parts: Sequence[bytes]
) -> None:
    if process.stdin is None:
        raise OSError("no pipe")
    text = json.dumps({**header, "sizes": [len(part) for part in parts]}).encode()
    for part in (len(text).to_bytes(4, "little"), text, *parts):
        process.stdin.write(part)
    process.stdin.flush()


def _read(process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    length = int.from_bytes(_exactly(process, 4), "little")
    if length > _LARGEST_HEADER:
        raise ValueError("not an answer")
    answer = json.loads(_exactly(process, length))
    return answer, [_exactly(process, size) for size in answer["sizes"]]


def _exactly(process: subprocess.Popen[bytes], size: int) -> bytes:
    if process.stdout is None:
        raise OSError("no pipe")
    found = process.stdout.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
