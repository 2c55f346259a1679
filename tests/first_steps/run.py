"""Take the first steps of a new user with a wheel that is installed outside the repository.

    python tests/first_steps/run.py [--keep FOLDER] [--from N]

A wheel is built and installed into a new environment, which borrows the packages of the one that
runs this. Each step's exit code, its screen and its time are compared with `steps.py`. The time is
the processor's, of all processes of a step, and counts in imports of the framework: so it says the
same on a slow machine and on a busy one. By the clock, a step may take four times as many imports.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from steps import LIGHT, STEPS, Step

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
IMPORTS = {"torch": "torch", "keras": "keras", LIGHT: "onnx, numpy, onnxruntime"}
_FLOOR = 0.5  # seconds: of an import that takes less, the noise would count
_WAITING = 4  # by the clock: what is waited for, and what else runs on the machine


class Times(NamedTuple):
    """How long something took, in seconds."""

    processor: float
    clock: float

    def __truediv__(self, other: Times) -> Times:
        """In multiples of something else."""
        return Times(self.processor / other.processor, self.clock / other.clock)


def environment(folder: Path) -> Path:
    """A new environment with the wheel; its Python."""
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel"]
    subprocess.run([*build, "--no-deps", "--no-build-isolation", "-w", wheels, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True)
    # A path alone: the .pth files there, as that of an editable install, do not count.
    (Path(own.stdout.strip()) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps"]
    subprocess.run([*install, *wheels.glob("*.whl")], check=True)
    where = "import prelu_tools; print(prelu_tools.__file__)"
    found = subprocess.run([python, "-c", where], cwd=folder, capture_output=True, text=True)
    assert found.stdout.startswith(str(folder)), found.stdout + found.stderr
    return python


def timed(command: list[str | Path], **how: Any) -> tuple[subprocess.CompletedProcess[str], Times]:
    """Run a command, and how long it and all that it waited for took."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, **how)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, Times(used, ended - began)


def run(python: Path, folder: Path, line: str) -> tuple[int, str, Times]:
    """Type a line: its exit code, its screen, and how long it took."""
    words = line.split()
    program = python.with_name("prelu-tools")
    command = [python, *words[1:]] if words[0] == "python" else [program, *words]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}
    done, took = timed(command, cwd=folder, env={**kept, "COLUMNS": "80"})
    return done.returncode, f"{done.stdout} {done.stderr}", took


def faults(step: Step, code: int, screen: str, ratio: Times) -> list[str]:
    """What is not as it has to be."""
    found = [] if code == step.code else [f"exit code {code}, expected {step.code}"]
    said, at = " ".join(screen.split()), 0
    for words in step.words:
        place = said.find(words, at)
        if place < 0:
            found.append(f"the screen does not say {words!r} (in this order)")
            break
        at = place + len(words)
    found += [f"the screen says {words!r}" for words in step.absent if words in said]
    if "bug in prelu-tools" in said or "Traceback" in said:
        found.append("it broke")
    if ratio.processor > step.limit or ratio.clock > _WAITING * step.limit:
        found.append(
            f"it took {ratio.processor:.1f} imports, {ratio.clock:.1f} by the clock; expected "
            f"{step.limit:g} at most, {_WAITING * step.limit:g} by the clock"
        )
    return found


def imported(python: Path, folder: Path, what: str) -> Times:
    """What an import takes in a process of its own: the median of three."""
    command = [python, "-c", f"import {what}"]
    runs = [timed(command, cwd=folder, check=True)[1] for _ in range(3)]
    return Times(*(max(_FLOOR, statistics.median(times)) for times in zip(*runs, strict=True)))


def main() -> int:
    """Take every step; 1 if one is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", type=Path, help="a folder to work in, which stays")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first step")
    given = parser.parse_args()
    folder = (given.keep or Path(tempfile.mkdtemp(prefix="first-steps-"))).resolve()
    folder.mkdir(exist_ok=True)
    python = folder / "env" / "bin" / "python"
    work = folder / "work"
    if not python.exists():
        python = environment(folder)
        shutil.copytree(HERE / "files", work)
    measures = {name: imported(python, folder, what) for name, what in IMPORTS.items()}
    print(
        "one import: "
        + ", ".join(f"{name} {took.processor:.1f} s" for name, took in measures.items())
    )
    wrong = 0
    for number, step in enumerate(STEPS, 1):
        if number < given.first:
            continue
        code, screen, took = run(python, work, step.line)
        ratio = took / measures[step.framework]
        found = faults(step, code, screen, ratio)
        wrong += bool(found)
        print(
            f"{number:2} {'FAIL' if found else 'ok  '} {ratio.processor:5.2f} of {step.limit:g}"
            f" ({ratio.clock:.2f} by the clock)  {step.line}"
        )
        for fault in found:
            print(f"        {fault}")
        if found:
            print("\n".join(f"        | {line}" for line in screen.strip().splitlines()[:40]))
    if not given.keep:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(STEPS) - wrong} of {len(STEPS)} steps are as they have to be")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
