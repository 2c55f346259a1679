"""Kill commands at random moments of their life, and look at what is at the path."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from running import ROOT, start

Files = dict[str, bytes]
"""The files of a folder by their names; hidden ones, which are temporary, left out."""


@dataclass(frozen=True)
class Job:
    """A command that writes files into a folder that holds older ones."""

    name: str
    arguments: Callable[[Path], list[object]]
    """The command line that writes into this folder."""
    before: Files
    """What is there at first."""
    is_whole: Callable[[str, bytes], bool] | None = None
    """For a file with figures of the moment: whether its bytes, by its name, are a whole one."""
    each: bool = False
    """Whether each file may be old or new by itself; otherwise they belong together."""


@dataclass
class Tally:
    """What was found after the kills."""

    killed: int = 0
    """Runs that the signal ended."""
    ended: int = 0
    """Runs that ended before the signal."""
    found: Counter[str] = field(default_factory=Counter)
    """What was at the path: `old`, `new`, `nothing`; of several files, `some new`."""
    left: int = 0
    """Kills after which a temporary file was there."""


def files_of(folder: Path) -> Files:
    """What is in a folder, without temporary files."""
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in files}


def hidden(folder: Path) -> list[str]:
    """The temporary files and folders."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def _start(job: Job, folder: Path) -> subprocess.Popen[bytes]:
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return start(*job.arguments(folder), cwd=ROOT, **pipes)


def _lay(folder: Path, files: Files) -> None:
    """Put these files in a folder in place of those that are there; temporary ones stay."""
    for name in files_of(folder):
        (folder / name).unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _whole_run(job: Job, folder: Path) -> tuple[Files, float, float]:
    """What a run leaves; after how many seconds it begins to write, and when it ends."""
    _lay(folder, job.before)
    start = time.monotonic()
    running = _start(job, folder)
    writes = None
    while running.poll() is None:
        if writes is None and hidden(folder):
            writes = time.monotonic() - start
        time.sleep(0.001)
    assert running.stderr is not None
    assert running.returncode == 0, running.stderr.read().decode()
    running.stderr.close()
    end = time.monotonic() - start
    return files_of(folder), end if writes is None else writes, end


def _kill_one(job: Job, folder: Path, random: Random, writes: float, end: float) -> bool:
    """Kill a run: anywhere in its life, or while it writes, or as it puts things in place."""
    running = _start(job, folder)
    mode = random.choice(["anywhere", "writing", "placing"])
    if mode == "anywhere":
        time.sleep(random.uniform(0, end))
    else:
        begun = hidden if mode == "writing" or job.each else _is_placing
        while running.poll() is None and not begun(folder):
            time.sleep(0.0002)
        time.sleep(random.uniform(0, max(end - writes, 0.01) if begun is hidden else 0.03))
    running.send_signal(signal.SIGKILL)
    running.communicate()
    return running.returncode == -signal.SIGKILL


def _is_placing(folder: Path) -> bool:
    return any(folder.glob(".*/under-way"))


def _what(job: Job, found: Files, new: Files) -> str:
    """`old`, `new` or `nothing`: what the files are; an error where they are neither."""

    def same(name: str, content: bytes) -> bool:
        if job.is_whole is not None and name in found:
            return job.is_whole(name, found[name])
        return found.get(name) == content

    if job.each:
        old = {name for name, content in found.items() if content == job.before.get(name)}
        for name in found.keys() - old:
            assert same(name, new[name]), f"{job.name}: {name} is half a file"
        if found.keys() == new.keys() and not old:
            return "new"
        return "some new" if found.keys() - old else "old"
    if all(found.get(name) == content for name, content in job.before.items()) and job.before:
        return "old"  # data that no model uses yet may lie beside it
    if all(same(name, content) for name, content in new.items()):
        return "new"
    assert not job.before, f"{job.name}: neither the old files nor the new ones: {sorted(found)}"
    assert not any(name.endswith(".onnx") for name in found), f"{job.name}: half a model"
    return "nothing"


def kill_at_random(job: Job, folder: Path, kills: int, seed: int) -> Tally:
    """Kill a job again and again; at last it runs to its end, and nothing else may be left.

    Raises:
        AssertionError: a file was neither the old one nor the new one, or a temporary one stayed.
    """
    random, tally = Random(f"{job.name} {seed}"), Tally()
    folder.mkdir()
    new, writes, end = _whole_run(job, folder)
    for _ in range(kills):
        _lay(folder, job.before)
        if _kill_one(job, folder, random, writes, end):
            tally.killed += 1
        else:
            tally.ended += 1
        tally.found[_what(job, files_of(folder), new)] += 1
        tally.left += bool(hidden(folder))
    _whole_run(job, folder)
    assert files_of(folder).keys() == new.keys(), f"{job.name}: {sorted(files_of(folder))}"
    assert not hidden(folder), f"{job.name} left {hidden(folder)}"
    shutil.rmtree(folder)
    return tally


def kills_wanted() -> int:
    """How many kills the tests make in all: `PRELU_KILLS`."""
    return int(os.environ.get("PRELU_KILLS", "10"))
