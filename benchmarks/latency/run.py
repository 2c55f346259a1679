"""Measures, and writes what was measured as JSON.

    python -m benchmarks.latency.run NETS --output FOLDER [--short | --quick] [--add]

NETS has the exporters' files, in a folder ``batch-N`` for every batch (``benchmarks.nets.write``
makes them). Runs in an environment that has onnxsim, onnxslim, this project and the onnxruntime to
be measured, and writes FOLDER/onnxruntime-VERSION.json; ``benchmarks.latency.report`` makes the
tables and the chart of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from benchmarks.latency import plan
from benchmarks.latency.measure import measure
from benchmarks.latency.peers import Files, Ours, versions
from benchmarks.latency.results import Results, read
from benchmarks.nets.catalog import BY_NAME
from benchmarks.pages import vectors


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    options = _parser().parse_args(arguments)
    onnxruntime.set_default_logger_severity(4)
    ours = Ours(options.ours, shlex.split(options.ours_options))
    files = Files(options.nets, options.nets / f"onnxruntime-{onnxruntime.__version__}", ours)
    results = Results(
        versions=versions(),
        processor=processor(),
        cores=os.cpu_count() or 0,
        ours=ours.words,
        quick=options.quick,
        cells=(),
    )
    path = options.output / f"onnxruntime-{results.onnxruntime}.json"
    if options.add and path.exists():
        results = results.beside(read(path))
    for cell in _cells(options):
        start = time.perf_counter()
        paths, missing = files.of(cell)
        ready = time.perf_counter()
        found = measure(cell, paths, missing)
        results = results.having(found)
        results.write(path)  # what is there is there, should the rest be stopped
        print(
            f"{cell.net:<14} batch {cell.batch} threads {cell.threads}: "
            f"{len(found.microseconds['raw'])} rounds, "
            f"{ready - start:.0f} s to make the files, {time.perf_counter() - ready:.0f} s to run",
            flush=True,
        )
        for variant, reason in missing.items():
            print(f"  no file of {variant}: {reason}", flush=True)
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("nets", type=Path, metavar="NETS")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--short", action="store_true", help="less time, fewer settings")
    parser.add_argument("--quick", action="store_true", help="try the code; figures mean nothing")
    parser.add_argument("--add", action="store_true", help="keep what was measured before")
    parser.add_argument("--net", action="append", default=[], choices=list(BY_NAME))
    parser.add_argument("--batch", action="append", type=int, default=[])
    parser.add_argument("--threads", action="append", type=int, default=[])
    parser.add_argument(
        "--ours",
        metavar="TEMPLATE",
        help="paths of files to take as ours, with {net}, {batch} and {threads}",
    )
    parser.add_argument(
        "--ours-options",
        default=shlex.join(Ours().options),
        help="options of prelu-tools optimize (default: %(default)s)",
    )
    return parser


def _cells(options: argparse.Namespace) -> list[plan.Cell]:
    seconds = plan.QUICK if options.quick else plan.SHORT if options.short else plan.FULL
    nets = options.net or (plan.QUICK_NETS if options.quick else ())
    return plan.cells(seconds, nets, options.batch, options.threads)


def processor() -> str:
    """Return the processor's name, from the system's own list where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    return (
        f"{named.get('model name', platform.machine())} "
        f"(family {named.get('cpu family')}, model {named.get('model')}){vectors()}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
