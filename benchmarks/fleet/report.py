"""The figures of the fleet as Markdown: `python -m benchmarks.fleet.report FILE.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fleet.run import WAYS

_TABLE = (
    "| command | models | how | total, s | ms per model | relative to one command per model "
    "| CPU of the main process, ms per model | peak memory of the main process, MB |"
)
_GROWTH = (
    "| command | how | models | start, s | total, ms | CPU of the main process, ms | its wait for "
    "the disk, ms | its memory, KB | result, bytes |"
)


def lines(known: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of all, then one of what each additional model takes."""
    yield _TABLE
    yield "|:--|--:|:--|--:|--:|--:|--:|--:|"
    order = sorted(
        known, key=lambda one: (one["command"], one["models"], [*WAYS].index(one["way"]))
    )
    for one in order:
        alone = next(
            (o for o in known if o["command"] == one["command"] and o["way"] == "alone"), None
        )
        each = one["seconds"] / one["models"]
        ratio = "" if alone is None else f"{each * alone['models'] / alone['seconds']:.3f}"
        cpu = (
            "" if one["cpu_seconds"] is None else f"{1000 * one['cpu_seconds'] / one['models']:.1f}"
        )
        peak = "" if one["peak_mb"] is None else f"{one['peak_mb']:.0f}"
        yield (
            f"| {one['command']} | {one['models']:,} | {WAYS[one['way']]} | {one['seconds']:.1f} | "
            f"{1000 * each:.1f} | {ratio} | {cpu} | {peak} |"
        )
    text = []
    for command, way in sorted({(one["command"], one["way"]) for one in known}):
        grown = [one for one in order if (one["command"], one["way"]) == (command, way)]
        if way != "alone" and len(grown) > 1:
            text.append(growth(grown))
    yield from ["", _GROWTH, "|:--|:--|--:|--:|--:|--:|--:|--:|--:|", *text] if text else []


def growth(grown: Sequence[Mapping[str, Any]]) -> str:
    """A row: what one more model takes, between the smallest and the largest run."""
    first, last = grown[0], grown[-1]
    more = last["models"] - first["models"]
    each = (last["seconds"] - first["seconds"]) / more
    start = first["seconds"] - each * first["models"]
    cpu = (last["cpu_seconds"] - first["cpu_seconds"]) / more
    disk = (last["disk_seconds"] - first["disk_seconds"]) / more
    memory = (last["peak_mb"] - first["peak_mb"]) / more
    return (
        f"| {first['command']} | {WAYS[first['way']]} | {first['models']:,} to "
        f"{last['models']:,} | {start:.1f} | {1000 * each:.1f} | {1000 * cpu:.2f} | "
        f"{1000 * disk:.2f} | {1000 * memory:.1f} | {last['result_bytes']:,.0f} |"
    )


if __name__ == "__main__":
    print("\n".join(lines(json.loads(Path(sys.argv[1]).read_text()))))
