"""How near each net is to what pure ONNX can do: its kernels, the bytes they move, and their time.

    python -m benchmarks.latency.bound NETS [NET...] [--seconds 4]

NETS is the folder that ``benchmarks.latency.run`` measured. Of every net the exporter's file, this
project's, and the net with ReLU, from onnxruntime's own profile on one thread: nodes that run, the
megabytes that they read and write, and their milliseconds (the shortest of all runs, so that a busy
machine changes little). *Bound*: the time for copying each PReLU's map three and a half times (two
passes read it and write it, the third reads two and writes one), which is what its three kernels
move; slopes that are all equal cost nothing. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.latency.kernels import SECONDS, Event, profile
from benchmarks.nets.catalog import BY_NAME, NETS

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
    milliseconds: float
    """All of them, each as fast as it ever was."""
    maps: tuple[int, ...]
    """Bytes of the map of each PRelu node with more slopes than one."""


def summed(events: Sequence[Event]) -> Profile:
    """The profile of a file from the events of its runs."""
    nodes: dict[str, list[Event]] = {}
    for event in events:
        nodes.setdefault(event.name, []).append(event)
    first = [found[0] for found in nodes.values()]
    return Profile(
        nodes=len(nodes),
        megabytes=sum(event.n_bytes for event in first) / 1e6,
        milliseconds=sum(min(e.milliseconds for e in found) for found in nodes.values()),
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
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def row(title: str, raw: Profile, ours: Profile, relu: Profile, bound_ms: float) -> str:
    """One line of the table."""
    extra, left = raw.milliseconds - relu.milliseconds, ours.milliseconds - relu.milliseconds
    cells = [
        title,
        *(" / ".join(f"{getattr(p, what):{form}}" for p in (relu, ours, raw)) for what, form in (
            ("nodes", "d"), ("megabytes", ".1f"), ("milliseconds", ".2f"),
        )),
        f"{left / extra:.0%}" if extra > 0 else "-",
        f"{bound_ms / extra:.0%}" if extra > 0 else "-",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("nets", type=Path, metavar="NETS")
    parser.add_argument("names", nargs="*", metavar="NET", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each file")
    options = parser.parse_args(arguments)
    made = options.nets / f"onnxruntime-{onnxruntime.__version__}" / "batch-1"
    print("| net | kernels | MB moved | ms | extra cost left | of which bound |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in options.names or [net.name for net in NETS if net.yardstick]:
        files = (
            options.nets / "batch-1" / f"{name}.onnx",
            made / f"{name}.t1.ours.onnx",
            options.nets / "batch-1" / f"{name}.relu.onnx",
        )
        raw, ours, relu = (summed(profile(path, 1, options.seconds)) for path in files)
        print(row(BY_NAME[name].title, raw, ours, relu, bound(raw.maps)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
