"""A process that runs the command line on many files, one after the other, and tells what it saw.

It is forked from one that has the frameworks loaded, so that a file costs milliseconds. Each file
has a limit of CPU time, of time by the clock and of memory; what breaks one of the first two
ends the process, and whoever started it knows which file it was.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from fuzz.archives import MARKER, PAYLOAD
from fuzz.corpus import SEEDS, Case
from prelu_tools.backends.files import isolated
from prelu_tools.cli.main import run

CPU_SECONDS: Final = 5.0
"""Seconds of CPU time that one command may take."""
WALL_SECONDS: Final = 600.0
"""Seconds by the clock: for a command that waits and does nothing."""
LEAST_MEMORY: Final = 160 << 20
"""Bytes that any file may take: 100 MB, and what is imported when it is first needed."""
MEMORY_A_BYTE: Final = 2
"""How many times its size a file may take beyond that."""
_ADDRESS_SPACE: Final = 6 << 30  # beyond what the process starts with: keeps the machine alive
_OUR_ERRORS: Final = "prelu_tools.core.errors."  # with -v their tracebacks are shown
_BESIDE: Final = ("forms.onnx", "old.onnx", "outside.bin", "batch.npz", "large.onnx")
_PAYLOAD: Final = f"""
def run(*_):
    open({MARKER!r}, "w").close()


run()
"""
_NET: Final = """
import torch


class Net(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 4, 3), torch.nn.PReLU(4))

    def example_inputs(self):
        return torch.zeros(1, 3, 8, 8)
"""
_QUICK: Final = ("--samples", "1", "--no-power", "--search-seconds", "0")


@dataclass(frozen=True)
class Seen:
    """What became of a command on a file."""

    case: int
    """The number of the file."""
    command: int
    """Which of its commands."""
    kind: str
    """The suffix of the file."""
    fault: str
    """Which invariant was broken; "" for none."""
    code: int | None
    """The exit code; None where the process ended."""
    seconds: float
    """CPU time."""
    grown: int
    """Bytes by which the process grew at most."""
    said: str = ""
    """The end of what it wrote, where there was a fault."""


def commands_for(kind: str, file: Path, is_run: bool = True) -> list[list[str]]:
    """What is run on a file, in the folder that the file is in.

    Args:
        kind: its suffix.
        file: where it is.
        is_run: whether an ONNX file is run as well: what it computes may take long.
    """
    out = ["-o", "made.onnx", "--force"]
    match kind:
        case ".onnx":
            inspect = ["inspect", file.name, "-v", "--target", "tensorrt", "--all"]
            if is_run:
                return [inspect, ["export", file.name, "-v", *out]]
            return [inspect, ["export", file.name, "-v", "--no-verify", *out]]
        case ".npz":
            return [
                ["inspect", "forms.onnx", "--data", file.name],
                ["verify", "forms.onnx", "forms.onnx", "--inputs", file.name, *_QUICK],
            ]
        case ".record.npz":
            return [["inspect", file.name], ["verify", file.name, "forms.onnx", "--no-power"]]
        case ".csv":
            listed = ["verify", file.name, "--jobs", "0", *_QUICK]
            return [["inspect", file.name, "--jobs", "0"], listed]
        case ".json":
            same = ["verify", "forms.onnx", "forms.onnx", *_QUICK]
            return [[*same, "--baseline", file.name]]
        case ".toml":
            return [["verify"]]
        case ".pt" | ".safetensors":
            return [_slopes(file), ["export", f"nets.py:Net@{file.name}", "--no-verify", *out]]
    return [_slopes(file)]


def _slopes(file: Path) -> list[str]:
    return ["inspect", file.name, "--format", "json", "--slopes"]


def prepare(folder: Path) -> None:
    """Put a folder in order for `run_case`: the files that others name lie beside them."""
    for name in _BESIDE:
        shutil.copy(SEEDS / name, folder / name)
    (folder / f"{PAYLOAD}.py").write_text(_PAYLOAD)
    (folder / "nets.py").write_text(_NET)


def run_case(case: Case, folder: Path) -> Iterable[Seen]:
    """Run every command on a file; the current folder has to be `folder`."""
    file = folder / ("prelu-tools.toml" if case.kind == ".toml" else f"case{case.kind}")
    file.write_bytes(case.data)
    weights = file.with_suffix(".bin")
    if case.weights is not None:
        weights.write_bytes(case.weights)
    for index, arguments in enumerate(commands_for(case.kind, file, case.seed != "models")):
        yield _run(case, index, arguments)
    file.unlink(missing_ok=True)
    weights.unlink(missing_ok=True)
    (folder / "made.onnx").unlink(missing_ok=True)


def _run(case: Case, index: int, arguments: list[str]) -> Seen:
    held = _reset_peak()
    used = _processor_time()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    said = io.StringIO()
    escaped: BaseException | None = None
    code: int | None = None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run(arguments)
    except BaseException as error:
        escaped = error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = _processor_time() - used
    grown = max(_peak() - held, 0)
    text = said.getvalue()
    fault = _fault(case, code, text, grown, escaped)
    if Path(MARKER).exists():
        fault = "ran code from the file"
        Path(MARKER).unlink()
    if seconds > CPU_SECONDS:
        fault = fault or f"hang: {seconds:.1f} s"
    kept = text[-3000:] if fault else ""
    return Seen(case.number, index, case.kind, fault, code, round(seconds, 3), grown, kept)


def _fault(
    case: Case, code: int | None, text: str, grown: int, escaped: BaseException | None
) -> str:
    """The invariant that a command broke; "" for none."""
    if escaped is not None:
        return f"escaped: {type(escaped).__name__}: {escaped}"
    if code not in (0, 1, 2, 3):
        return f"exit code {code}"
    if "This is a bug" in text or ("Traceback" in text and _OUR_ERRORS not in text):
        return "traceback"
    if "\x1b" in text or "\x07" in text or "\u202e" in text:
        return "steers the terminal"
    if not text.strip():
        return "said nothing"
    limit = LEAST_MEMORY + MEMORY_A_BYTE * len(case.data)
    return f"memory: {grown >> 20} MB" if grown > limit else ""


def _processor_time() -> float:
    """Seconds that this process and those that it has waited for took."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _reset_peak() -> int:
    """Begin to measure the largest size again; returns the present size in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def forked(reader: str, path: Path, limits: isolated.Limits) -> isolated.Ended:
    """What `isolated.in_new_process` does, in a fork of this process: it has h5py already."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.dup2(sending, 1)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            isolated.main(reader, str(path), str(limits.cpu_seconds), str(limits.memory))
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        written = pipe.read()
    _, status = os.waitpid(child, 0)
    return isolated.Ended(os.waitstatus_to_exitcode(status), written)


def work(cases: Iterable[Case], folder: Path, sending: int, until: float) -> None:
    """Run files and write a line of JSON for each: once before it, once for each command.

    Args:
        cases: the files.
        folder: where to put them.
        sending: the descriptor to write to; at last it is told that this is the end.
        until: when to begin no more of them, by `time.monotonic`.
    """
    os.chdir(folder)
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _ADDRESS_SPACE, held + _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    isolated.launch = forked
    with open(sending, "w") as pipe:
        for case in cases:
            if time.monotonic() > until:
                break
            print(json.dumps({"begin": case.number}), file=pipe, flush=True)
            for seen in run_case(case, folder):
                print(json.dumps(asdict(seen)), file=pipe, flush=True)
        print(json.dumps({"end": True}), file=pipe, flush=True)
