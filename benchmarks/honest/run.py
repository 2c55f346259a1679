"""No false alarm and no missing verdict on honest files of nets as people build them.

    python -m benchmarks.honest.run [--nets torch/IResNet,...] [--seeds 3] [--jobs 2] [--quick]

Each net is built and trained a few steps with each seed, exported by this tool, by the framework's
own exporters and rewritten by onnxruntime, onnxsim and onnxslim, and every file is verified
against the live source. Exits with 1 where a right file did not pass, or a wrong one did.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.honest import report
from benchmarks.honest.check import run_job
from benchmarks.honest.registry import HonestNet, every_framework, nets_of
from benchmarks.honest.store import ROOT, Store


def chosen(names: str | None, *, quick: bool) -> list[str]:
    """The names of the nets to take: all, those named, or the fast ones."""
    found = multiprocessing.get_context("spawn").Pool(1)  # frameworks stay out of this process
    with found:
        nets: list[tuple[str, bool]] = found.apply(_catalog, ())
    if names:
        wanted = names.split(",")
        known = [name for name, _ in nets]
        if unknown := [name for name in wanted if not any(name in each for each in known)]:
            raise SystemExit(f"no net is called {', '.join(unknown)}; there are {', '.join(known)}")
        return [name for name in known if any(each in name for each in wanted)]
    return [name for name, fast in nets if fast or not quick]


def _catalog() -> list[tuple[str, bool]]:
    every: list[HonestNet] = [net for name in every_framework() for net in nets_of(name)]
    return [(net.name, net.fast) for net in every]


SHORT_RUN = (
    "A short run (`--short`): without the files that torch's newer exporter, Keras' exporter, "
    "onnxsim and onnxslim make, without `export`'s own check, and without power."
)
Job = Callable[..., list[dict[str, Any]]]


def work(
    jobs: Sequence[tuple[str, int]], processes: int, run: Job
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each job; a worker that dies is a row without a verdict."""
    # A process is replaced after a while: TensorFlow never gives its memory back. The executor's
    # own max_tasks_per_child can wait for ever (cpython issue 115634).
    left, width = list(jobs), processes
    context = multiprocessing.get_context("spawn")
    while left:
        turn = left[: 24 * width]
        with ProcessPoolExecutor(width, context) as pool:
            futures = {pool.submit(run, *job): job for job in turn}
            try:
                for future in as_completed(futures):
                    rows = future.result()
                    left.remove(futures[future])
                    yield rows
            except BrokenProcessPool:
                if width > 1:  # which job it was shows where they run one after another
                    width = 1
                    continue
                name, seed = left.pop(0)
                yield [{"net": name, "seed": seed, "candidate": "all", "verdict": "error",
                        "reasons": ["the process died"], "wrong": None, "error": 0.0,
                        "seconds": 0.0, "outcome": "no verdict"}]  # fmt: skip
        width = processes


def add_options(parser: argparse.ArgumentParser, results: Path) -> None:
    """What the attacks take too."""
    parser.add_argument("--nets", help="parts of names, with commas")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="the fast nets, one seed")
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--json", type=Path, help="the summary and every row, in one file")
    parser.add_argument("--page", type=Path, help="the tables in Markdown")


def settle(environment: MutableMapping[str, str]) -> None:
    """One thread for each worker, and no chatter."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        environment.setdefault(name, "1")
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    environment["PYTHONWARNINGS"] = "ignore"


def main() -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="3", help="how many, or which: 3 or 0,5")
    parser.add_argument("--short", action="store_true", help="fewer files, no power")
    add_options(parser, ROOT / "build/honest/results.jsonl")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    seeds = list(range(seeds[0])) if len(seeds) == 1 else seeds
    if options.quick:
        seeds = seeds[:1]
    settle(os.environ)
    store = Store(options.results)
    done = store.done()
    names = chosen(options.nets, quick=options.quick)
    jobs = [(name, seed) for seed in seeds for name in names if (name, seed) not in done]
    for number, rows in enumerate(
        work(jobs, options.jobs, partial(run_job, short=options.short)), 1
    ):
        store.add(rows)
        for row in rows:
            if row["outcome"] in report.BAD:
                print(report.line(row), flush=True)
        print(f"{number} of {len(jobs)}", file=sys.stderr, flush=True)
    wanted = {(name, seed) for seed in seeds for name in names}
    rows = [row for row in store.rows if (row["net"], row["seed"]) in wanted]
    print(report.summary(rows))
    how = f"Seeds: {len(seeds)}." + (f" {SHORT_RUN}" if options.short else "")
    report.write(rows, options.json, options.page, how)
    return int(any(row["outcome"] in report.BAD for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
