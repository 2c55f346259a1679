"""Run the command line on the corpus: `python -m fuzz.files --start 0 --count 20000`.

What was done is kept, and not done again; a file that broke an invariant is kept in `found/`.
Exits 1 where there is one.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fuzz.corpus import FIRST, KINDS, case, kind_of
from fuzz.models import MODELS
from fuzz.worker import prepare, work

_BATCH = 150  # files a process
_LOADED = (
    "h5py", "onnx", "onnxruntime", "safetensors", "torch", "torch.export", "rich.table",
    "prelu_tools.backends.torch.files.program", "prelu_tools.backends.files.state_dict",
    "prelu_tools.backends.files.safetensors", "prelu_tools.backends.files.keras.h5",
    "prelu_tools.backends.files.keras.archive", "prelu_tools.cli.commands.inspect",
    "prelu_tools.cli.commands.verify",
    "prelu_tools.cli.commands.export", "prelu_tools.graph.facts.survey",
    "prelu_tools.graph.targets.forecast",
    "prelu_tools.commands.verify.command", "prelu_tools.commands.export.command",
    "prelu_tools.reports.writers.table", "prelu_tools.reports.writers.json",
    "prelu_tools.backends.onnxruntime.canonicalise",
)  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this long")
    kinds = sorted({*KINDS, *MODELS})
    parser.add_argument("--kind", choices=kinds, help="files of this kind only")
    parser.add_argument("--again", action="store_true", help="run what was done already")
    parser.add_argument("--output", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--generator", choices=tuple(FIRST), default="mutations")
    given = parser.parse_args()
    given.start += FIRST[given.generator]
    given.output.mkdir(parents=True, exist_ok=True)
    done = {} if given.again else _results(given.output)
    numbers = [
        number
        for number in range(given.start, given.start + given.count)
        if number not in done and given.kind in (None, kind_of(number))
    ]
    until = time.monotonic() + given.seconds
    for module in _LOADED:
        importlib.import_module(module)
    gc.freeze()
    shards = [numbers[shard :: given.jobs] for shard in range(given.jobs)]
    children = [
        _shard(shard, given.output, index, until) for index, shard in enumerate(shards[1:], 1)
    ]
    _run(shards[0], given.output / "results-0.jsonl", until) if shards[0] else None
    for child in children:
        os.waitpid(child, 0)
    return _report(given)


def _shard(numbers: Sequence[int], output: Path, index: int, until: float) -> int:
    child = os.fork()
    if child == 0:
        _run(numbers, output / f"results-{index}.jsonl", until)
        os._exit(0)
    return child


def _run(numbers: Sequence[int], results: Path, until: float) -> None:
    with tempfile.TemporaryDirectory() as name, results.open("a") as kept:
        folder = Path(name)
        prepare(folder)
        left = list(numbers)
        while left and time.monotonic() < until:
            last = None
            for line in run_batch(left[:_BATCH], folder, until):
                kept.write(json.dumps(line) + "\n")
                kept.flush()
                if line["fault"]:
                    _keep(line, results.parent)
                last = line["case"]
            left = left[left.index(last) + 1 :] if last is not None else []


def run_batch(
    numbers: Sequence[int], folder: Path, until: float = float("inf")
) -> Iterator[dict[str, Any]]:
    """Run files in one process; where one ends it, that is what is told of that file."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receiving)
            work((case(number) for number in numbers), folder, sending, until)
        finally:
            os._exit(0)
    os.close(sending)
    begun, ended = numbers[0], False
    with open(receiving) as pipe:
        for text in pipe:
            line = json.loads(text)
            ended = "end" in line
            if "begin" in line:
                begun = line["begin"]
            elif not ended:
                yield line
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ended:
        yield _ended(begun, code)


def _ended(number: int, code: int) -> dict[str, Any]:
    faults = {-signal.SIGPROF: "hang: CPU time", -signal.SIGALRM: "hang: waits"}
    name = signal.Signals(-code).name if code < 0 else f"exit {code}"
    fault = faults.get(code, f"crash: {name}")
    line = {"case": number, "command": -1, "kind": kind_of(number), "fault": fault}
    return {**line, "code": None, "seconds": 0.0, "grown": 0, "said": ""}


def _keep(line: dict[str, Any], output: Path) -> None:
    folder = output / "found"
    folder.mkdir(exist_ok=True)
    found = case(line["case"])
    (folder / f"{found.number}{found.kind}").write_bytes(found.data)
    if found.weights is not None:
        (folder / f"{found.number}.bin").write_bytes(found.weights)
    text = f"{line['fault']}\nof {found.seed}, command {line['command']}\n\n{line['said']}\n"
    (folder / f"{found.number}{found.kind}.txt").write_text(text)


def _results(output: Path) -> dict[int, list[dict[str, Any]]]:
    """What is known of each case: the last that was seen."""
    found: dict[int, dict[int, dict[str, Any]]] = {}
    for path in sorted(output.glob("results-*.jsonl"), key=lambda path: path.stat().st_mtime):
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if line["command"] <= 0:
                found[line["case"]] = {}
            found[line["case"]][line["command"]] = line
    return {number: list(lines.values()) for number, lines in found.items()}


def _report(given: argparse.Namespace) -> int:
    known = _results(given.output)
    wanted = range(given.start, given.start + given.count)
    lines = [line for number, found in known.items() if number in wanted for line in found]
    faults = [line for line in lines if line["fault"]]
    files = Counter(kind_of(number) for number in known if number in wanted)
    codes = {
        kind: Counter(line["code"] for line in lines if line["kind"] == kind) for kind in files
    }
    for kind in files:
        told = ", ".join(
            f"{count} x {code}" for code, count in sorted(codes[kind].items(), key=str)
        )
        print(f"{kind:13} {files[kind]:6,} files; exit codes: {told}")
    worst = max(lines, key=lambda line: line["seconds"], default=None)
    largest = max(lines, key=lambda line: line["grown"], default=None)
    if worst is not None and largest is not None:
        print(f"longest: {worst['seconds']:.1f} s of CPU time (case {worst['case']})")
        print(f"largest: {largest['grown'] >> 20} MB (case {largest['case']})")
    for line in faults[:40]:
        print(f"case {line['case']}{line['kind']}, command {line['command']}: {line['fault']}")
    print(f"{sum(files.values()):,} files, {len(lines):,} commands, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
