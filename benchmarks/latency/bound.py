"""How near each net is to what pure ONNX can do: its kernels, the bytes they move, and their time.

    python -m benchmarks.latency.bound NETS [NET...] [--seconds 4] [--page docs/performance.md]

NETS is the folder that ``benchmarks.latency.run`` measured. Of every net the exporter's file, this
project's, and the net with ReLU: nodes that run and the megabytes that they read and write, from
onnxruntime's own profile, and the milliseconds of the shortest run, in turns, in CPU time, so
that a busy machine changes little. *Bound*: the time for copying each PReLU's map three and a half
times (two passes read it and write it, the third reads two and writes one), which is what its three
kernels move; slopes that are all equal cost nothing. Prints a Markdown table, and puts it into a
page.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.latency.kernels import SECONDS, Event, profile
from benchmarks.nets.catalog import BY_NAME, NETS
from benchmarks.nets.inputs import natural
from benchmarks.pages import machine, put
from prelu_tools.backends.onnxruntime.running.racing import race

_STREAMS = 3.5
"""Times that the three kernels of a PReLU move its map, of which a copy moves two."""
_COPIES = 15


@dataclass(frozen=True)
class Profile:
    """What onnxruntime runs for one file."""

    nodes: int
    """Kernels."""
    megabytes: float
    """Read and written by them, weights included."""
    maps: tuple[int, ...]
    """Bytes of the map of each PRelu node with more slopes than one."""


def summed(events: Sequence[Event]) -> Profile:
    """The profile of a file from the events of its runs."""
    first = list({event.name: event for event in events}.values())
    return Profile(
        nodes=len(first),
        megabytes=sum(event.n_bytes for event in first) / 1e6,
        maps=tuple(
            event.n_output for event in first if event.operator == "PRelu" and event.n_weights > 4
        ),
    )


def bound(maps: Sequence[int]) -> float:
    """Milliseconds for what the three kernels of each PReLU move, at the speed of a copy."""
    return _STREAMS * sum(_copying(n_bytes) for n_bytes in maps)


def _copying(n_bytes: int) -> float:
    source = np.ones(max(1, n_bytes // 4), np.float32)
    target = np.empty_like(source)
    times = []
    for _ in range(_COPIES):
        start = time.thread_time()
        np.copyto(target, source)
        times.append(time.thread_time() - start)
    return 1e3 * min(times)


def _milliseconds(files: Sequence[Path], seconds: float) -> list[float]:
    """The shortest run of each file."""
    runs, feeds = {}, {}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    for path in files:
        session = onnxruntime.InferenceSession(str(path), options)
        value = session.get_inputs()[0]
        feeds = {value.name: natural(value.shape, seed=7)}
        runs[str(path)] = partial(session.run, None)
    times = race(runs, feeds, seconds, range(5, 400), seed=0).seconds
    return [1e3 * min(times[str(path)]) for path in files]


def shares(times: Sequence[float], bound_ms: float) -> tuple[float, float] | None:
    """Of PReLU's extra cost, what is left and the bound; None where it costs nothing extra."""
    relu, ours, raw = times
    return ((ours - relu) / (raw - relu), bound_ms / (raw - relu)) if raw > relu else None


def row(title: str, profiles: Sequence[Profile], times: Sequence[float], bound_ms: float) -> str:
    """One line of the table.

    Args:
        title: of the net.
        profiles: of ReLU, ours and the exporter's file.
        times: their milliseconds.
        bound_ms: see `bound`.
    """
    cells = [
        title,
        " / ".join(str(profile.nodes) for profile in profiles),
        " / ".join(f"{profile.megabytes:.1f}" for profile in profiles),
        " / ".join(f"{milliseconds:.2f}" for milliseconds in times),
        *(f"{share:.0%}" for share in shares(times, bound_ms) or ()),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("nets", type=Path, metavar="NETS")
    parser.add_argument("names", nargs="*", metavar="NET", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each file")
    parser.add_argument("--page", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    made = options.nets / f"onnxruntime-{onnxruntime.__version__}" / "batch-1"
    lines = ["| net | kernels | MB read and written | ms | extra cost left | bound |",
             "|---|---:|---:|---:|---:|---:|"]  # fmt: skip
    found = []
    for name in options.names or [net.name for net in NETS if net.yardstick]:
        files = (
            options.nets / "batch-1" / f"{name}.relu.onnx",
            made / f"{name}.t1.ours.onnx",
            options.nets / "batch-1" / f"{name}.onnx",
        )
        profiles = [summed(profile(path, 1, 0.0)) for path in files]
        times, least = _milliseconds(files, 3 * options.seconds), bound(profiles[-1].maps)
        lines.append(row(BY_NAME[name].title, profiles, times, least))
        found.append(shares(times, least))
        print(lines[-1], flush=True)
    known = [each for each in found if each is not None]
    words = (
        "*kernels*, *MB read and written* and *ms* are for ReLU / prelu-tools / the exporter's "
        f"file ({machine()}, one thread). *ms* is the CPU time of the shortest run."
    )
    if known:
        left, least = (sum(each) / len(known) for each in zip(*known, strict=True))
        words += (
            f" On average, the {len(known)} nets keep {left:.0%} of PReLU's extra cost; the bound "
            f"is {least:.0%}."
        )
    if options.page is not None:
        put(options.page, "bound", "\n".join([*lines, "", words]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
