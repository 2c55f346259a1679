"""Shows where the time of a net goes: what onnxruntime's own profile says of each operator.

    python -m benchmarks.latency.kernels NETS NET... [--threads N] [--page docs/performance.md]

NETS is the folder that ``benchmarks.latency.run`` measured; of every net the exporter's file, this
project's, and the bound with ReLU. Times are milliseconds a run, medians of single runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime

from benchmarks.nets.catalog import BY_NAME
from benchmarks.nets.inputs import natural
from benchmarks.pages import machine, put

SECONDS = 4.0
"""How long a file is run."""


class Event(NamedTuple):
    """One run of one kernel."""

    name: str
    """Of its node."""
    operator: str
    """Of its node."""
    milliseconds: float
    """How long it took."""
    n_bytes: int
    """Read and written, weights included."""
    n_weights: int
    """Bytes of its weights."""
    n_output: int
    """Bytes that it wrote."""


def profile(path: Path, threads: int, seconds: float = SECONDS) -> list[Event]:
    """Return every run of every kernel in so many seconds of a model on an image."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        value = session.get_inputs()[0]
        feeds = {value.name: natural(value.shape, seed=7)}
        runs, end = 0, time.monotonic() + seconds
        while runs < 5 or time.monotonic() < end:
            session.run(None, feeds)
            runs += 1
        events = json.loads(Path(session.end_profiling()).read_text())
    return [_event(e) for e in events if _is_kernel(e)]


def _is_kernel(event: Mapping[str, Any]) -> bool:
    return event.get("cat") == "Node" and str(event["name"]).endswith("_kernel_time")


def _event(event: Mapping[str, Any]) -> Event:
    args = event["args"]
    read, weights, written = (
        int(args.get(f"{kind}_size", 0)) for kind in ("activation", "parameter", "output")
    )
    return Event(
        f"{event['name']}#{args['node_index']}", args["op_name"], event["dur"] / 1000,
        read + weights + written, weights, written,
    )  # fmt: skip


def kernels(path: Path, threads: int) -> Mapping[str, tuple[float, int]]:
    """Return the milliseconds a run that each operator takes, and how many nodes it has."""
    nodes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in profile(path, threads):
        nodes[event.operator][event.name].append(event.milliseconds)
    sums = {
        operator: (sum(map(statistics.median, times.values())), len(times))
        for operator, times in nodes.items()
    }
    return dict(sorted(sums.items(), key=lambda item: -item[1][0]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Show what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("nets", type=Path, metavar="NETS")
    parser.add_argument("names", nargs="+", choices=list(BY_NAME), metavar="NET")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    made = options.nets / f"onnxruntime-{onnxruntime.__version__}" / "batch-1"
    lines = ["| net | exporter's file | prelu-tools | with ReLU |", "|---|---|---|---|"]
    for name in options.names:
        cells = []
        files = {
            "raw export": options.nets / "batch-1" / f"{name}.onnx",
            "prelu-tools": made / f"{name}.t{options.threads}.ours.onnx",
            "ReLU (bound)": options.nets / "batch-1" / f"{name}.relu.onnx",
        }
        for label, path in files.items():
            found = kernels(path, options.threads)
            total = sum(milliseconds for milliseconds, _ in found.values())
            parts = ", ".join(f"{n} {kind} {ms:.2f}" for kind, (ms, n) in list(found.items())[:7])
            cells.append(f"{total:.2f}: {parts}")
            print(f"{name:<14} {label:<13} {total:8.2f} ms: {parts}", flush=True)
        lines.append(f"| {BY_NAME[name].title} | {' | '.join(cells)} |")
    if options.page is not None:
        words = (
            "Each cell: milliseconds per run, then the most expensive operators, each with its "
            f"number of nodes and their milliseconds ({machine()}; profiling itself adds a tenth)."
        )
        put(options.page, "kernels", "\n".join([*lines, "", words]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
