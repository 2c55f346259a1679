"""What a model costs among many: `make bench-fleet`.

    python -m benchmarks.fleet.run FOLDER --output FILE.json [--command inspect] [--models 500]
        [--ways alone,one,two,dask]

Makes the models in FOLDER, runs the command over all of them in each way, every run a process of
its own after one that warms up, and adds what it took to FILE.json. Called one by one (`alone`), 25
models stand for all: each is a process of its own, so that their number changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fleet.models import save_models

WAYS = {
    "alone": "one command per model",
    "one": "1 worker process",
    "two": "2 worker processes",
    "dask": "Dask, 2 local workers",
}
SAMPLE = 25
_OPTIONS = {
    "one": ["--jobs", "1"],
    "two": ["--jobs", "2"],
    "dask": ["--dask", "local", "--jobs", "2"],
}
# The process alone, without those that work for it: what bounds many workers on other machines.
_RUN = """
import json, os, resource, sys, time
from prelu_tools.cli.main import run
synced, waited = os.fsync, [0.0]
def fsync(file):
    start = time.perf_counter()
    synced(file)
    waited[0] += time.perf_counter() - start
os.fsync = fsync
if __name__ == "__main__":
    code = run(sys.argv[2:])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open(sys.argv[1], "w") as file:
        facts = {"cpu": time.process_time(), "peak": usage.ru_maxrss / 1024, "disk": waited[0]}
        json.dump({"code": code, **facts}, file)
"""


@dataclass(frozen=True)
class Measured:
    """One way of running one command over so many models."""

    command: str
    """`inspect` or `verify`."""
    way: str
    """A key of `WAYS`."""
    models: int
    """How many."""
    seconds: float
    """Wall time of all; for `alone` from the sample."""
    cpu_seconds: float | None
    """CPU time of the process that hands out and gathers; None for `alone`."""
    peak_mb: float | None
    """Its largest resident memory."""
    disk_seconds: float | None
    """How long it waited for the disk, a result being safe before the next is taken."""
    result_bytes: float | None
    """Size of a result's line in the file of results, on average."""


def measure(command: str, way: str, folder: Path, number: int) -> Measured:
    """Run it once.

    Raises:
        SystemExit: it did not give a good result for every model.
    """
    if way == "alone":
        return _alone(command, folder, number)
    with tempfile.TemporaryDirectory() as scratch:
        facts, lines = Path(scratch) / "facts.json", Path(scratch) / "results.jsonl"
        script = Path(scratch) / "run.py"
        script.write_text(_RUN)
        arguments = [*_arguments(command, folder), *_OPTIONS[way], "--results", str(lines), "-q"]
        start = time.perf_counter()
        subprocess.run([sys.executable, script, facts, *arguments], check=True)
        seconds = time.perf_counter() - start
        found = json.loads(facts.read_text())
        written = lines.read_bytes().splitlines()
        if found["code"] != 0 or len(written) != number:
            raise SystemExit(f"{command}, {way}: exit {found['code']}, {len(written)} results")
        size = statistics.mean(map(len, written))
    return Measured(
        command, way, number, seconds, *(found[fact] for fact in ("cpu", "peak", "disk")), size
    )


def _arguments(command: str, folder: Path) -> list[str]:
    """A model is compared with itself: that it is equal has to be found out all the same."""
    pattern = f"{folder}/{{stem}}.onnx"
    return ["inspect", str(folder)] if command == "inspect" else ["verify", pattern, pattern]


def _alone(command: str, folder: Path, number: int) -> Measured:
    paths = sorted(folder.glob("*.onnx"))
    chosen = paths[:: max(1, len(paths) // SAMPLE)][:SAMPLE]
    taken = []
    for path in chosen:
        sources = [str(path)] * (1 if command == "inspect" else 2)
        start = time.perf_counter()
        subprocess.run(
            [Path(sys.executable).with_name("prelu-tools"), command, *sources, "-q"], check=True
        )
        taken.append(time.perf_counter() - start)
    return Measured(command, "alone", number, statistics.mean(taken) * number, *[None] * 4)


def main() -> None:
    """Measure, and add to the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--command", choices=("inspect", "verify"), default="inspect")
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--ways", default=",".join(WAYS))
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = save_models(given.folder, given.models)
    warm = save_models(given.folder, 4)
    known = json.loads(given.output.read_text()) if given.output.exists() else []
    for way in given.ways.split(","):
        measure(given.command, way, warm, 4)
        measured = measure(given.command, way, folder, given.models)
        each = 1000 * measured.seconds / given.models
        print(f"{given.command} of {given.models}, {WAYS[way]}: {each:.1f} ms a model", flush=True)
        same = (measured.command, measured.way, measured.models)
        known = [one for one in known if (one["command"], one["way"], one["models"]) != same]
        known.append(asdict(measured))
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
